import type { ToThread } from "../thread.js";
import type { FromWorker, WorkerData } from "../worker/protocol.js";

/** What the outpost is told; THREAD is a number that the teller gives. */
export type ToOutpost =
  | { readonly type: "start"; readonly thread: number; readonly workerFile: string; readonly workerData: WorkerData }
  | { readonly type: "post"; readonly thread: number; readonly message: ToThread }
  | { readonly type: "stop"; readonly thread: number };

/** What it answers. */
export type FromOutpost =
  | { readonly type: "message"; readonly thread: number; readonly message: FromWorker }
  | { readonly type: "failed"; readonly thread: number; readonly error: string }
  | { readonly type: "exited"; readonly thread: number };
