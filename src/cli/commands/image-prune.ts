import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { isConfirmed } from "../confirmation.js";
import { parseImageFilters } from "../filter-flag.js";
import { taggedName } from "../image-name.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";

export interface PruneImagesFlags {
  readonly root?: string;
  readonly all?: boolean;
  readonly force?: boolean;
  readonly filter?: readonly string[];
}

/** `ashlar image prune`: removes images without a name, or all, after asking. */
export async function pruneImagesCommand(flags: PruneImagesFlags, surroundings: Surroundings): Promise<number> {
  const { stdout, clock } = surroundings;
  const query = parseImageFilters(flags.filter ?? [], ["until", "label", "label!", "dangling"], clock.now());
  const all = flags.all === true || query.dangling === false;
  const what = all ? "all images that no running build uses" : "all dangling images";
  if (!flags.force && !(await isConfirmed(`WARNING! This will remove ${what}.`, surroundings))) return 0;
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine({ ...options, signal });
    const { labels, withoutLabels, until } = query;
    const { untagged, deleted, freedBytes } = await engine.images.prune({ all, labels, withoutLabels, until, signal });
    const lines = [
      ...untagged.map((name) => `untagged: ${taggedName(name)}\n`),
      ...deleted.map((id) => `deleted: ${id}\n`),
    ];
    if (lines.length > 0) stdout.write(`Deleted Images:\n${lines.join("")}\n`);
    stdout.write(`Total reclaimed space: ${formatBytes(freedBytes)}\n`);
    return 0;
  });
}
