import path from "node:path";
import { EngineError } from "../../base/index.js";
import { parseEngine } from "../build-request.js";
import { taggedName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";
import { type ProgressFlags, withProgress } from "./image-progress.js";

export interface LoadFlags extends ProgressFlags {
  readonly root?: string;
  readonly input?: string;
  readonly tag?: string;
  readonly platform?: readonly string[];
}

/** `ashlar load [-i FILE] [-t NAME]`: the images of an archive, or of a layout directory, become images of the local store. */
export async function loadCommand(flags: LoadFlags, surroundings: Surroundings): Promise<number> {
  const { stdin, stdout, cwd } = surroundings;
  if (flags.input === undefined && stdin.isTTY)
    throw new EngineError("invalid", "requested load from stdin, but stdin is empty");
  const from = flags.input === undefined || flags.input === "-" ? stdin : path.resolve(cwd, flags.input);
  const options = parseEngine(flags, ambientOf(surroundings));
  return withProgress(flags, surroundings, async (work) => {
    await using engine = await surroundings.openEngine({ ...options, ...work });
    const { tag: name, platform: platforms } = flags;
    const loaded = await engine.images.load({ from, name, platforms, ...work });
    return () => {
      for (const image of loaded) {
        stdout.write(
          image.name === undefined
            ? `Loaded image ID: ${image.imageId}\n`
            : `Loaded image: ${taggedName(image.name)}\n`,
        );
      }
    };
  });
}
