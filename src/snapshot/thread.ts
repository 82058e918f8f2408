import { Worker } from "node:worker_threads";
import type { FromWorker, ToWorker, WorkerData } from "./worker/protocol.js";

type Distribute<T> = T extends { readonly cancel: Int32Array } ? Omit<T, "cancel"> : T;
type ToRunning = Exclude<ToWorker, { readonly type: "end" }>;

/** What a thread is told, as plain data: nothing in it is shared with the teller. */
export type ToThread = Distribute<ToRunning> | { readonly type: "cancel"; readonly id: number };

/** A thread of the data plane, wherever it runs. */
export interface ThreadChannel {
  post(message: ToThread): void;
  /** Keeps the process from ending for want of work, until `release`. */
  hold(): void;
  release(): void;
  /** Tells the thread's jobs to stop; it ends when they have, and when it is up, if it was only starting. */
  stop(): Promise<void>;
}

/** Who hears of a thread. */
export interface ThreadListener {
  message(message: FromWorker): void;
  failed(error: unknown): void;
  /** It has ended; nothing follows. */
  exited(): void;
}

export type OpenThread = (listener: ThreadListener) => ThreadChannel;

/** Starts threads of this process. */
export function localThreads(workerFile: string, workerData: WorkerData): OpenThread {
  return (listener) => {
    const worker = new WorkerThread(workerFile, workerData, listener);
    worker.release();
    return worker;
  };
}

/** A worker thread of this process. */
export class WorkerThread implements ThreadChannel {
  readonly #worker: Worker;
  /** What tells a running job to stop: not zero once its caller has aborted. */
  readonly #flags = new Map<number, Int32Array>();
  readonly #exited: Promise<void>;
  #stopping = false;

  constructor(workerFile: string, workerData: WorkerData, listener: ThreadListener) {
    this.#worker = new Worker(workerFile, { workerData, stdin: false });
    this.#worker.on("message", (message: FromWorker) => {
      if (message.type === "done" || message.type === "failed") this.#flags.delete(message.id);
      listener.message(message);
    });
    this.#worker.on("error", (error) => listener.failed(error));
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    void this.#exited.then(() => listener.exited());
  }

  post(message: ToThread): void {
    switch (message.type) {
      case "cancel": {
        const flag = this.#flags.get(message.id);
        if (flag) Atomics.store(flag, 0, 1);
        return;
      }
      case "job": {
        const cancel = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
        this.#flags.set(message.id, cancel);
        this.#worker.postMessage({ ...message, cancel } satisfies ToWorker);
        return;
      }
      default:
        this.#worker.postMessage(message);
    }
  }

  hold(): void {
    this.#worker.ref();
  }

  release(): void {
    if (!this.#stopping) this.#worker.unref();
  }

  async stop(): Promise<void> {
    for (const flag of this.#flags.values()) Atomics.store(flag, 0, 1);
    this.#stopping = true; // and its end is waited for, whatever it answers until then
    this.hold();
    // Never from outside (`terminate`): that takes the whole process down while the thread loads an addon or calls one.
    this.#worker.postMessage({ type: "end" } satisfies ToWorker);
    await this.#exited;
  }
}
