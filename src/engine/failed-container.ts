import type { Digest } from "../base/index.js";
import type { Terminal } from "../executor/index.js";
import type { OpMetadata, SourceRange } from "../llb/index.js";
import { type FailedStep, Inspection, openShell } from "../ops/index.js";
import type { BuildRequest } from "./request.js";

/** The container of a RUN that failed: its file system, mounts, environment, user, network and bounds. Nothing done in it is kept. */
export interface FailedContainer {
  /** As it is shown: `[build 2/5] RUN make`. */
  readonly name: string;
  /** How it failed. */
  readonly message: string;
  /** Undefined where a signal ended it. */
  readonly exitCode: number | undefined;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Where it stands in the Dockerfile. */
  readonly location: SourceRange | undefined;
  /**
   * Opens a shell in it, shown on TERMINAL: the one that the step ran in, else bash or sh. Settles when it has ended. Throws EngineError
   * `not-found` where there is none, `canceled` when the build was.
   */
  shell(terminal: Terminal): Promise<void>;
}

export interface InspectionOptions {
  /** The build's: no shell outlives it. The failure of another step is no reason to end one. */
  readonly signal: AbortSignal;
  /** What is known of a vertex. */
  readonly metadata: (vertex: Digest) => readonly OpMetadata[];
}

/** Lets who made the request look at steps that fail; undefined where nobody wants to. */
export function inspectionOf({ onFailedStep }: BuildRequest, options: InspectionOptions): Inspection | undefined {
  if (!onFailedStep) return undefined;
  return new Inspection(async (step) => {
    try {
      await onFailedStep(failedContainer(step, options));
    } catch {
      // The step has failed already, and that is what the build ends with.
    }
  });
}

function failedContainer(
  { vertex, failure, process, rootfs, environment }: FailedStep,
  { signal, metadata }: InspectionOptions,
): FailedContainer {
  const { plane, executor } = environment;
  return {
    name: vertex.name,
    message: failure.message,
    exitCode: failure.exitCode,
    args: process.args,
    cwd: process.cwd,
    location: metadata(vertex.digest).find(({ location }) => location)?.location,
    async shell(terminal) {
      await openShell({ plane, executor, process, rootfs }, { terminal, signal });
    },
  };
}
