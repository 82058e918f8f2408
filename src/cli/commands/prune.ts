import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { isConfirmed } from "../confirmation.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { ambientOf } from "./engine-flags.js";

export interface PruneFlags {
  readonly root?: string;
  readonly all?: boolean;
  readonly force?: boolean;
}

/** `ashlar prune`: removes images without a name and build cache, after asking. */
export async function pruneCommand(flags: PruneFlags, surroundings: Surroundings): Promise<number> {
  const cache = flags.all ? "all build cache" : "build cache that nothing uses";
  const question = `WARNING! This will remove all dangling images and ${cache}.`;
  if (!flags.force && !(await isConfirmed(question, surroundings))) return 0;
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine(options);
    const { freedBytes, records } = await engine.prune({ all: flags.all === true, signal });
    const count = `${records} record${records === 1 ? "" : "s"}`;
    surroundings.stdout.write(`Removed ${count}\nTotal reclaimed space: ${formatBytes(freedBytes)}\n`);
    return 0;
  });
}
