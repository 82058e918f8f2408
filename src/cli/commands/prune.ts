import { formatBytes } from "../../progress/index.js";
import { parseEngine } from "../build-request.js";
import { untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { ambientOf } from "./engine-flags.js";

export interface PruneFlags {
  readonly root?: string;
  readonly all?: boolean;
  readonly force?: boolean;
}

/** `ashlar prune`: removes build cache, after asking. */
export async function pruneCommand(flags: PruneFlags, surroundings: Surroundings): Promise<number> {
  if (!flags.force && !(await isConfirmed(flags.all === true, surroundings))) return 0;
  const options = parseEngine(flags, ambientOf(surroundings));
  return untilStopped(surroundings, async (signal) => {
    await using engine = await surroundings.openEngine(options);
    const { freedBytes, records } = await engine.prune({ all: flags.all === true, signal });
    const count = `${records} record${records === 1 ? "" : "s"}`;
    surroundings.stdout.write(`Removed ${count}\nTotal reclaimed space: ${formatBytes(freedBytes)}\n`);
    return 0;
  });
}

async function isConfirmed(all: boolean, { stdin, stderr }: Surroundings): Promise<boolean> {
  if (stdin.isTTY !== true)
    throw new UsageError("prune asks before it removes anything: use -f where nobody can answer");
  stderr.write(
    `This removes ${all ? "all build cache and the images that nothing uses" : "build cache that nothing uses"}. Continue? [y/N] `,
  );
  for await (const chunk of stdin) return /^y(es)?\s*$/i.test(Buffer.from(chunk).toString());
  return false;
}
