import { EngineError, errorCode } from "../base/index.js";
import type { ContentDigest, ContentDigestRequest } from "./selector.js";
import type { StateDirs } from "./state-dirs.js";
import { contentDigest } from "./worker/content-digest.js";
import type { JobContext } from "./worker/context.js";
import { forgetScan, readSourceFile } from "./worker/scan-jobs.js";

/** The jobs that may be tried on the calling thread: they only read the caller's own files, and change nothing of the process. */
const GLANCES = { contentDigest, readSourceFile, forgetScan } as const;
export type GlanceName = keyof typeof GLANCES;

/** What a glance has told, which keys may be made of by now. */
interface Seen {
  readonly request: ContentDigestRequest;
  readonly seen: ContentDigest;
}

/**
 * What glances have told of contexts, by affinity. The thread that takes one over has its own look at the files, maybe much later: it has to
 * see the same as the glances did.
 */
export class Glances {
  readonly #seen = new Map<string, Seen[]>();
  readonly #handovers = new Map<string, Promise<void>>();

  /** Notes what the job NAME has told of ARGS. */
  note(affinity: string, name: GlanceName, { args, value }: { readonly args: unknown; readonly value: unknown }): void {
    if (name !== "contentDigest") return;
    const seen = { request: args as ContentDigestRequest, seen: value as ContentDigest };
    this.#seen.set(affinity, [...(this.#seen.get(affinity) ?? []), seen]);
  }

  /** Settles when LOOK, by the thread that does all for AFFINITY from now on, has told the same; for each of its jobs. Throws `changed`. */
  handOver(affinity: string, look: (request: ContentDigestRequest) => Promise<ContentDigest>): Promise<void> {
    const handover = this.#handovers.get(affinity) ?? lookAgain(this.#seen.get(affinity) ?? [], look);
    this.#handovers.set(affinity, handover);
    return handover;
  }

  forget(affinity: string): void {
    this.#seen.delete(affinity);
    this.#handovers.delete(affinity);
  }
}

async function lookAgain(
  all: readonly Seen[],
  look: (request: ContentDigestRequest) => Promise<ContentDigest>,
): Promise<void> {
  for (const { request, seen } of all) {
    const { digest } = await look(request).catch((error) => {
      throw errorCode(error) === "not-found" ? changed(error) : error;
    });
    if (digest !== seen.digest) throw changed();
  }
}

function changed(cause?: unknown): EngineError {
  return new EngineError("changed", "files of the build context changed during the build", { cause });
}

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
