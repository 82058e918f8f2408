import { parseEngine } from "../build-request.js";
import { splitName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";
import { type ProgressFlags, withProgress } from "./image-progress.js";

export interface PushFlags extends ProgressFlags {
  readonly root?: string;
  readonly allTags?: boolean;
  readonly platform?: string;
}

/** `ashlar push NAME`: an image of the local store goes to its registry. */
export async function pushCommand(flags: PushFlags, name: string, surroundings: Surroundings): Promise<number> {
  const { stdout } = surroundings;
  const options = parseEngine(flags, ambientOf(surroundings));
  return withProgress(flags, surroundings, async (work) => {
    await using engine = await surroundings.openEngine({ ...options, ...work });
    const { allTags, platform } = flags;
    const pushed = await engine.images.push({ name, allTags: allTags === true, platform, ...work });
    return () => {
      for (const { name: full, digest, sizeBytes } of pushed) {
        if (flags.quiet) stdout.write(`${full}\n`);
        else stdout.write(`${splitName(full).tag}: digest: ${digest} size: ${sizeBytes}\n`);
      }
    };
  });
}
