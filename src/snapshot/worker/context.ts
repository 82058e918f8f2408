import type { StateDirs } from "../state-dirs.js";
import type { Snapshotter } from "./protocol.js";

/** What a job gets from its thread. */
export interface JobContext {
  /** Absolute paths of the state directory's parts. */
  readonly dirs: StateDirs;
  readonly snapshotter: Snapshotter;
  /** fuse-overlayfs(1), where it is installed. */
  readonly fuseOverlay?: string | undefined;
  /** Throws EngineError("canceled") once the caller has aborted: call it at least every few milliseconds of work. */
  checkCanceled(): void;
  /** Tells how far it is; cheap, throttled by the thread. */
  report(progress: JobProgress): void;
}

export interface JobProgress {
  readonly current: number;
  readonly total?: number;
  readonly unit: "bytes" | "files";
}

/** A job: synchronous work on files (or asynchronous only for zlib's sake). Arguments and result are plain data. */
export type Job<A, R> = (args: A, context: JobContext) => R | Promise<R>;
