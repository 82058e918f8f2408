import { lazy } from "../../base/index.js";
import type { OpenThread, ThreadChannel, ThreadListener, ToThread } from "../thread.js";
import type { NamespaceOwnership } from "../user-namespace.js";
import type { WorkerData } from "../worker/protocol.js";
import { launchOutpost, type OutpostProcess } from "./launch.js";
import type { FromOutpost } from "./protocol.js";

export interface OutpostOptions {
  readonly ownership: NamespaceOwnership;
  /** The Node.js program, and the outpost's bundle for it. */
  readonly node: string;
  readonly entry: string;
  /** util-linux's unshare(1). */
  readonly unshare: string;
  /** Jobs that may run at once. */
  readonly threads: number;
  readonly workerFile: string;
  readonly workerData: WorkerData;
  readonly attendantFile: string;
}

/** Threads that live in a process of their own. Dispose of it after them. */
export interface Outpost extends AsyncDisposable {
  readonly open: OpenThread;
  /** Starts threads of another bundle beside them. */
  readonly attendants: OpenThread;
}

/**
 * Gives threads in a user namespace in which the user is root. The process that calls can't enter one itself, and nothing of it changes:
 * they live in a child process, which is started with the first thread and dies with the caller.
 */
export function createOutpost(options: OutpostOptions): Outpost {
  return new ChildOutpost(options);
}

class ChildOutpost implements Outpost {
  readonly #options: OutpostOptions;
  readonly #threads = new Map<number, ThreadListener>();
  /** Who waits for the end of a thread. */
  readonly #stopping = new Map<number, () => void>();
  #process: OutpostProcess | undefined;
  #count = 0;
  #holds = 0;

  constructor(options: OutpostOptions) {
    this.#options = options;
  }

  readonly #started = lazy(async () => {
    const process = await launchOutpost(this.#options, {
      message: (message) => this.#receive(message),
      exited: () => {
        for (const thread of [...this.#threads.keys()]) this.#gone(thread);
      },
    });
    this.#process = process;
    this.#hold(0);
    return process;
  });

  readonly open: OpenThread = (listener) => this.#openThread(this.#options.workerFile, listener);
  readonly attendants: OpenThread = (listener) => this.#openThread(this.#options.attendantFile, listener);

  #openThread(workerFile: string, listener: ThreadListener): ThreadChannel {
    const thread = ++this.#count;
    this.#threads.set(thread, listener);
    const { workerData } = this.#options;
    const started = this.#started().then((process) => {
      process.send({ type: "start", thread, workerFile, workerData });
      return process;
    });
    started.catch((error) => {
      listener.failed(error);
      this.#gone(thread);
    });
    return new OutpostThread({
      // The first messages wait for the process; order is kept.
      post: (message) => void started.then((process) => process.send({ type: "post", thread, message }), ignore),
      hold: (change) => this.#hold(change),
      stop: () => this.#stop(thread, started),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const process = await (this.#count === 0 ? undefined : this.#started().catch(() => undefined));
    await process?.end();
  }

  #hold(change: number): void {
    this.#holds += change;
    if (this.#holds > 0) this.#process?.hold();
    else this.#process?.release();
  }

  async #stop(thread: number, started: Promise<OutpostProcess>): Promise<void> {
    const process = await started.catch(() => undefined);
    if (!process || !this.#threads.has(thread)) return;
    this.#hold(1);
    await new Promise<void>((resolve) => {
      this.#stopping.set(thread, resolve);
      process.send({ type: "stop", thread });
    });
    this.#hold(-1);
  }

  #receive(message: FromOutpost): void {
    const listener = this.#threads.get(message.thread);
    switch (message.type) {
      case "message":
        listener?.message(message.message);
        break;
      case "failed":
        listener?.failed(new Error(message.error));
        break;
      case "exited":
        this.#gone(message.thread);
    }
  }

  #gone(thread: number): void {
    this.#threads.get(thread)?.exited();
    this.#threads.delete(thread);
    this.#stopping.get(thread)?.();
    this.#stopping.delete(thread);
  }
}

function ignore(): void {}

interface ThreadLine {
  readonly post: (message: ToThread) => void;
  readonly hold: (change: number) => void;
  readonly stop: () => Promise<void>;
}

class OutpostThread implements ThreadChannel {
  readonly #line: ThreadLine;
  #held = false;

  constructor(line: ThreadLine) {
    this.#line = line;
  }

  post(message: ToThread): void {
    this.#line.post(message);
  }

  hold(): void {
    if (!this.#held) this.#line.hold(1);
    this.#held = true;
  }

  release(): void {
    if (this.#held) this.#line.hold(-1);
    this.#held = false;
  }

  stop(): Promise<void> {
    return this.#line.stop();
  }
}
