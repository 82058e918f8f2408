import type { StoredImage } from "../../engine/index.js";
import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { splitName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { formatAge, formatTable } from "../table.js";
import { UsageError } from "../usage-error.js";
import { ambientOf } from "./engine-flags.js";

export interface ImagesFlags {
  readonly root?: string;
  readonly quiet?: boolean;
  /** False for --no-trunc. */
  readonly trunc?: boolean;
  readonly format?: string;
}

/** `ashlar images [NAME]`: the images of the local store. */
export async function imagesCommand(
  flags: ImagesFlags,
  name: string | undefined,
  surroundings: Surroundings,
): Promise<number> {
  if (flags.format !== undefined && flags.format !== "table" && flags.format !== "json") {
    throw new UsageError(`invalid value ${JSON.stringify(flags.format)} for --format: it is table or json`);
  }
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const images = (await engine.images()).filter((image) => name === undefined || isNamed(image, name));
  surroundings.stdout.write(imagesText(images, flags, surroundings.clock.now()));
  return 0;
}

function isNamed(image: StoredImage, name: string): boolean {
  const { repository, tag } = splitName(image.name);
  return name === repository || name === `${repository}:${tag}` || name === image.name;
}

function imagesText(images: readonly StoredImage[], { quiet, trunc, format }: ImagesFlags, now: number): string {
  const idOf = ({ imageId }: StoredImage) => (trunc === false ? imageId : imageId.replace(/^sha256:/, "").slice(0, 12));
  if (quiet) return [...new Set(images.map(idOf))].map((id) => `${id}\n`).join("");
  const ageOf = ({ createdAt }: StoredImage) => (createdAt === undefined ? "N/A" : formatAge(createdAt, now));
  if (format === "json") {
    return images
      .map((image) => `${JSON.stringify({ ...imageJson(image), ID: idOf(image), CreatedSince: ageOf(image) })}\n`)
      .join("");
  }
  const rows = images.map((image) => {
    const { repository, tag } = splitName(image.name);
    return [repository, tag, idOf(image), ageOf(image), formatBytes(image.sizeBytes)];
  });
  return formatTable(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"], rows);
}

/** The keys of `docker images --format json`. */
function imageJson(image: StoredImage): Readonly<Record<string, unknown>> {
  const { repository, tag } = splitName(image.name);
  return {
    Repository: repository,
    Tag: tag,
    Digest: image.digest,
    CreatedAt: image.createdAt === undefined ? "N/A" : new Date(image.createdAt).toISOString(),
    Size: formatBytes(image.sizeBytes),
    Platforms: image.platforms,
  };
}
