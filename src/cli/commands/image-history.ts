import type { ImageDetails } from "../../engine/index.js";
import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { type ListedRow, type Listing, listed } from "../listing.js";
import type { Surroundings } from "../surroundings.js";
import { formatAge } from "../table.js";
import { ambientOf } from "./engine-flags.js";

export interface HistoryFlags {
  readonly root?: string;
  readonly quiet?: boolean;
  /** False for --no-trunc. */
  readonly trunc?: boolean;
  /** False for --human=false. */
  readonly human?: boolean;
  readonly format?: string;
  readonly platform?: string;
}

/** `ashlar history IMAGE`: the steps that an image was made in, the last one first. */
export async function historyCommand(flags: HistoryFlags, image: string, surroundings: Surroundings): Promise<number> {
  const { stdout, clock } = surroundings;
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const details = await engine.images.inspect(image, { platform: flags.platform });
  const rows = historyRows(details, flags, clock.now());
  if (flags.quiet && flags.format === undefined) stdout.write(rows.map(({ ID }) => `${ID}\n`).join(""));
  else stdout.write(listed(rows, flags.format, LISTING));
  return 0;
}

const LISTING: Listing = {
  headings: {
    ID: "IMAGE",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    CreatedBy: "CREATED BY",
    Size: "SIZE",
    Comment: "COMMENT",
  },
  columns: ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
};

/** Characters of what a step is created by, the ellipsis included. */
const CREATED_BY_LENGTH = 45;
/** Hex digits of an id as docker shows it. */
const SHORT_ID_LENGTH = 12;
/** Only the image itself has an id. */
const NO_ID = "<missing>";

function historyRows(
  { config, layers, imageId }: ImageDetails,
  { trunc = true, human = true }: HistoryFlags,
  now: number,
): readonly ListedRow[] {
  let layer = 0;
  const sizes = config.history.map((entry) => (entry.empty_layer ? 0 : (layers[layer++]?.sizeBytes ?? 0)));
  const id = trunc ? imageId.replace(/^sha256:/, "").slice(0, SHORT_ID_LENGTH) : imageId;
  const rows = config.history.map((entry, i): ListedRow => {
    const { created, created_by: createdBy = "", comment = "" } = entry;
    const words = createdBy.replaceAll("\t", " ");
    const createdAt = created === undefined ? "" : secondsOf(created);
    const since = created === undefined ? "N/A" : formatAge(Date.parse(created), now);
    const size = sizes[i] ?? 0;
    return {
      ID: i === config.history.length - 1 ? id : NO_ID,
      CreatedSince: human ? since : createdAt,
      CreatedAt: createdAt,
      CreatedBy: trunc ? shortened(words) : words,
      Size: human ? formatBytes(size) : String(size),
      Comment: comment,
    };
  });
  return rows.reverse();
}

/** TIME (RFC 3339) without parts of seconds, in UTC; as it is where it can't be read. */
function secondsOf(time: string): string {
  const milliseconds = Date.parse(time);
  return Number.isNaN(milliseconds) ? time : new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

function shortened(text: string): string {
  const characters = Array.from(text);
  return characters.length > CREATED_BY_LENGTH ? `${characters.slice(0, CREATED_BY_LENGTH - 1).join("")}…` : text;
}
