import path from "node:path";
import { EngineError } from "../../base/index.js";
import { parseEngine } from "../build-request.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";
import { type ProgressFlags, withProgress } from "./image-progress.js";

export interface ImportFlags extends ProgressFlags {
  readonly root?: string;
  readonly change?: readonly string[];
  readonly message?: string;
  readonly platform?: string;
}

/** `ashlar import FILE|- [NAME]`: makes an image of the files in an archive. */
export async function importCommand(
  flags: ImportFlags,
  [source, name]: readonly [source: string, name: string | undefined],
  surroundings: Surroundings,
): Promise<number> {
  const { stdin, stdout, cwd } = surroundings;
  if (/^https?:\/\//.test(source))
    throw new EngineError("unsupported", "importing from an address is not supported: download the archive first");
  const from = source === "-" ? stdin : path.resolve(cwd, source);
  const options = parseEngine(flags, ambientOf(surroundings));
  return withProgress(flags, surroundings, async (work) => {
    await using engine = await surroundings.openEngine({ ...options, ...work });
    const { change: changes, message, platform } = flags;
    const id = await engine.images.import({ from, name, changes, message, platform, ...work });
    return () => stdout.write(`${id}\n`);
  });
}
