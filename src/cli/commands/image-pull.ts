import type { Engine, ImageWork, PulledImage } from "../../engine/index.js";
import { parseEngine } from "../build-request.js";
import { splitName, taggedName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";
import { type ProgressFlags, withProgress } from "./image-progress.js";

export interface PullFlags extends ProgressFlags {
  readonly root?: string;
  readonly platform?: string;
  readonly allTags?: boolean;
}

/** `ashlar pull NAME`: an image of a registry, or all of a repository, become ones of the local store. */
export async function pullCommand(flags: PullFlags, name: string, surroundings: Surroundings): Promise<number> {
  const { stdout } = surroundings;
  const options = parseEngine(flags, ambientOf(surroundings));
  return withProgress(flags, surroundings, async (work) => {
    await using engine = await surroundings.openEngine({ ...options, ...work });
    if (!flags.allTags) {
      const pulled = await engine.images.pull({ name, platform: flags.platform, ...work });
      return () => {
        if (!flags.quiet) stdout.write(`Digest: ${pulled.digest}\n${statusOf([pulled], taggedName(pulled.name))}`);
        stdout.write(`${pulled.name}\n`);
      };
    }
    const pulled = await pullAll(engine, name, { platform: flags.platform, ...work });
    return () => {
      const [first] = pulled;
      if (!first) return;
      const { repository } = splitName(first.name);
      if (!flags.quiet) {
        for (const { name: full, digest } of pulled) stdout.write(`${splitName(full).tag}: digest: ${digest}\n`);
        stdout.write(statusOf(pulled, repository));
      }
      stdout.write(`${first.name.replace(/:[^:/]*$/, "")}\n`);
    };
  });
}

async function pullAll(
  { images }: Engine,
  name: string,
  request: ImageWork & { readonly platform: string | undefined },
): Promise<readonly PulledImage[]> {
  const pulled: PulledImage[] = [];
  for (const full of await images.tagsOf(name, request)) pulled.push(await images.pull({ name: full, ...request }));
  return pulled;
}

function statusOf(pulled: readonly PulledImage[], shown: string): string {
  const isCurrent = pulled.every(({ wasHere }) => wasHere);
  return `Status: ${isCurrent ? "Image is up to date" : "Downloaded newer image"} for ${shown}\n`;
}
