import type { ErrorCode } from "../../base/index.js";
import type { SpawnRequest } from "../spawn.js";
import type { StateDirs } from "../state-dirs.js";
import type { Ownership } from "../user-namespace.js";
import type { JobProgress } from "./context.js";

/** What a thread of the data plane starts with. */
export interface WorkerData {
  readonly dirs: StateDirs;
  readonly snapshotter: Snapshotter;
  readonly ownership: Ownership["kind"];
  /** fuse-overlayfs(1), where it is installed. */
  readonly fuseOverlay?: string | undefined;
}

/** What a thread of the data plane is told. `cancel` is one shared Int32: not zero once the caller has aborted. */
export type ToWorker =
  | {
      readonly type: "job";
      readonly id: number;
      readonly name: string;
      readonly args: unknown;
      readonly cancel: Int32Array;
    }
  /** Takes the mount namespace of the thread TID of this process for its own, before any job that mounts. */
  | { readonly type: "join"; readonly id: number; readonly tid: number; readonly snapshotter: Snapshotter }
  /** Makes a private mount namespace; answered with a `Ground`. */
  | { readonly type: "found"; readonly id: number }
  | { readonly type: "spawn"; readonly id: number; readonly request: SpawnRequest }
  | { readonly type: "kill"; readonly id: number; readonly signal: NodeJS.Signals }
  /** So many bytes of output were taken. */
  | { readonly type: "taken"; readonly id: number; readonly bytes: number }
  /** Ends the thread, with whatever is running in it. */
  | { readonly type: "end" };

/** How layers become a file system: stacked by the kernel, or by a program, or copied. */
export type Snapshotter = "overlay" | "fuse-overlayfs" | "native";

/** The thread whose mount namespace the others join, and what can be done in it. */
export interface Ground {
  readonly tid: number;
  readonly snapshotter: Snapshotter;
}

/** What it answers. */
export type FromWorker =
  | { readonly type: "done"; readonly id: number; readonly value: unknown }
  | { readonly type: "failed"; readonly id: number; readonly error: PlainError }
  | { readonly type: "progress"; readonly id: number; readonly progress: JobProgress }
  | { readonly type: "output"; readonly id: number; readonly fd: 1 | 2; readonly chunk: Uint8Array }
  | { readonly type: "exit"; readonly id: number; readonly code: number | null; readonly signal: string | null };

/** An error as plain data. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly stack?: string | undefined;
  /** The errno name, where a system call failed. */
  readonly system?: string | undefined;
}
