import { parseEngine } from "../build-request.js";
import { taggedName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";
import { type ProgressFlags, withProgress } from "./image-progress.js";

export interface PullFlags extends ProgressFlags {
  readonly root?: string;
  readonly platform?: string;
}

/** `ashlar pull NAME`: an image of a registry becomes one of the local store. */
export async function pullCommand(flags: PullFlags, name: string, surroundings: Surroundings): Promise<number> {
  const { stdout } = surroundings;
  const options = parseEngine(flags, ambientOf(surroundings));
  return withProgress(flags, surroundings, async (work) => {
    await using engine = await surroundings.openEngine(options);
    const pulled = await engine.images.pull({ name, platform: flags.platform, ...work });
    return () => {
      if (!flags.quiet) {
        const shown = taggedName(pulled.name);
        const status = pulled.wasHere ? `Image is up to date for ${shown}` : `Downloaded newer image for ${shown}`;
        stdout.write(`Digest: ${pulled.digest}\nStatus: ${status}\n`);
      }
      stdout.write(`${pulled.name}\n`);
    };
  });
}
