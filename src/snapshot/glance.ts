import { EngineError } from "../base/index.js";
import type { StateDirs } from "./state-dirs.js";
import { contentDigest } from "./worker/content-digest.js";
import type { JobContext } from "./worker/context.js";
import { forgetScan, readSourceFile } from "./worker/scan-jobs.js";

/** The jobs that may be tried on the calling thread: they only read the caller's own files, and change nothing of the process. */
const GLANCES = { contentDigest, readSourceFile, forgetScan } as const;
export type GlanceName = keyof typeof GLANCES;

/** How long the caller's thread may be held. A small context is read in a tenth of it; starting a thread takes longer. Milliseconds. */
const GLANCE_MS = 20;

/** `performance` would be loaded only for this. */
const uptimeMs = () => process.uptime() * 1000;

export function isGlance(name: string): name is GlanceName {
  return Object.hasOwn(GLANCES, name);
}

/** Does a job here if that takes no time; undefined if it would. Errors are the job's. */
export async function glance(
  name: GlanceName,
  args: unknown,
  dirs: StateDirs,
): Promise<{ readonly value: unknown } | undefined> {
  const until = uptimeMs() + GLANCE_MS;
  let late = false;
  const context: JobContext = {
    dirs,
    snapshotter: "overlay",
    checkCanceled() {
      late ||= uptimeMs() > until;
      if (late) throw new EngineError("canceled", "it takes too long to be done here");
    },
    report() {},
  };
  try {
    const job = GLANCES[name] as (args: unknown, context: JobContext) => unknown;
    return { value: await job(args, context) };
  } catch (error) {
    if (late) return undefined;
    throw error;
  }
}
