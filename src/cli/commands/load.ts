import path from "node:path";
import { parseEngine } from "../build-request.js";
import { familiarName } from "../image-name.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { ambientOf } from "./engine-flags.js";

export interface LoadFlags {
  readonly root?: string;
  readonly input?: string;
  readonly tag?: string;
}

/** `ashlar load -i FILE [-t NAME]`: an archive or a layout directory becomes an image of the local store. */
export async function loadCommand(flags: LoadFlags, surroundings: Surroundings): Promise<number> {
  if (!flags.input) throw new UsageError("no archive given: use -i FILE");
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const id = await engine.load(path.resolve(surroundings.cwd, flags.input), flags.tag);
  surroundings.stdout.write(flags.tag ? `Loaded image: ${familiarName(flags.tag)}\n` : `Loaded image ID: ${id}\n`);
  return 0;
}
