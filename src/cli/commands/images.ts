import type { StoredImage } from "../../engine/index.js";
import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { parseImageFilters } from "../filter-flag.js";
import { splitName } from "../image-name.js";
import { type ListedRow, type Listing, listed } from "../listing.js";
import type { Surroundings } from "../surroundings.js";
import { formatAge } from "../table.js";
import { ambientOf } from "./engine-flags.js";

export interface ImagesFlags {
  readonly root?: string;
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly digests?: boolean;
  /** False for --no-trunc. */
  readonly trunc?: boolean;
  readonly filter?: readonly string[];
  readonly format?: string;
}

/** `ashlar images [NAME]`: the images of the local store. */
export async function imagesCommand(
  flags: ImagesFlags,
  name: string | undefined,
  surroundings: Surroundings,
): Promise<number> {
  const { clock, stdout } = surroundings;
  const now = clock.now();
  const known = ["reference", "dangling", "label", "before", "since", "until"] as const;
  const query = parseImageFilters(flags.filter ?? [], known, now);
  const references = [...(query.references ?? []), ...(name === undefined ? [] : [name])];
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const images = await engine.images.list({ ...query, references });
  if (flags.quiet && flags.format === undefined) {
    stdout.write([...new Set(images.map((image) => shownId(image, flags)))].map((id) => `${id}\n`).join(""));
    return 0;
  }
  const rows = images.map((image) => rowOf(image, flags, now));
  const digest = flags.digests ? ["Digest"] : [];
  const listing: Listing = {
    headings: HEADINGS,
    columns: ["Repository", "Tag", ...digest, "ID", "CreatedSince", "Size"],
  };
  stdout.write(listed(rows, flags.format, listing));
  return 0;
}

/** Milliseconds since the epoch as Go's `Time.String` shows whole seconds. */
function goTime(milliseconds: number): string {
  const [date = "", time = ""] = new Date(milliseconds).toISOString().split(/[T.]/);
  return `${date} ${time} +0000 UTC`;
}

const HEADINGS = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Platforms: "PLATFORMS",
  Containers: "CONTAINERS",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  VirtualSize: "VIRTUAL SIZE",
};

/** Hex digits of an id as docker shows it. */
const SHORT_ID_LENGTH = 12;

function shownId({ imageId }: StoredImage, { trunc }: ImagesFlags): string {
  return trunc === false ? imageId : imageId.replace(/^sha256:/, "").slice(0, SHORT_ID_LENGTH);
}

/** The names of `docker images --format`. */
function rowOf(image: StoredImage, flags: ImagesFlags, now: number): ListedRow {
  const { repository, tag } =
    image.name === undefined ? { repository: "<none>", tag: "<none>" } : splitName(image.name);
  const { createdAt, digest, sizeBytes, platforms } = image;
  const size = formatBytes(sizeBytes);
  return {
    Repository: repository,
    Tag: tag,
    Digest: digest,
    ID: shownId(image, flags),
    CreatedSince: createdAt === undefined ? "N/A" : formatAge(createdAt, now),
    CreatedAt: createdAt === undefined ? "N/A" : goTime(createdAt),
    Size: size,
    Platforms: platforms,
    Containers: "N/A",
    SharedSize: "N/A",
    UniqueSize: "N/A",
    VirtualSize: size,
  };
}
