import PQueue from "p-queue";
import { type AbortOptions, canceled, EngineError, errorCode, heardByMany, lazy } from "../base/index.js";
import { Glances, glance, isGlance } from "./glance.js";
import { createOutpost, type Outpost } from "./outpost/outpost.js";
import type { ContentDigest, ContentDigestRequest } from "./selector.js";
import type { Attendants, AttendOptions, ProcessExit, Spawned, Spawner, SpawnRequest } from "./spawn.js";
import type { StateDirs } from "./state-dirs.js";
import { localThreads, type OpenThread, type ThreadChannel, type ToThread } from "./thread.js";
import type { NamespaceOwnership } from "./user-namespace.js";
import type { JobContext, JobProgress } from "./worker/context.js";
import type { jobs } from "./worker/jobs.js";
import type { FromWorker, Ground, PlainError, Snapshotter, WorkerData } from "./worker/protocol.js";

type Jobs = typeof jobs;
export type JobName = keyof Jobs;
export type JobArgs<N extends JobName> = Parameters<Jobs[N]>[0];
export type JobResult<N extends JobName> = Awaited<ReturnType<Jobs[N]>>;

export interface JobOptions extends AbortOptions {
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
  /** Jobs with the same affinity run on the same thread, which may keep something in memory between them. */
  readonly affinity?: string | undefined;
}

/**
 * The threads that touch files. Jobs run on as many threads as there are cores, one at a time each; short ones that mount, and all
 * child processes, run on the ground thread, in whose mount namespace everything is mounted: with it every mount goes away.
 */
export interface DataPlane extends Spawner, Attendants, AsyncDisposable {
  /** Runs a job that reads or writes files below the layers, with mounts if it likes. */
  run<N extends JobName>(name: N, args: JobArgs<N>, options?: JobOptions): Promise<JobResult<N>>;
  /** Runs a job that only reads files of the host, without a mount namespace: no thread has to be set up for it. */
  read<N extends JobName>(name: N, args: JobArgs<N>, options?: JobOptions): Promise<JobResult<N>>;
  /** Runs a short job on the ground thread, without waiting behind long ones. */
  control<N extends JobName>(name: N, args: JobArgs<N>, options?: JobOptions): Promise<JobResult<N>>;
}

export interface DataPlaneOptions {
  readonly dirs: StateDirs;
  readonly snapshotter: Snapshotter;
  /** The worker's bundle. */
  readonly workerFile: string;
  readonly threads: number;
  /** Absent: the threads are this process's, which is root. */
  readonly namespace?: NamespacePlane | undefined;
  /** Told once when layers have to be copied because they can't be stacked. */
  readonly onFallback?: () => void;
}

/** A user namespace that holds the threads of an ordinary user. */
export interface NamespacePlane {
  readonly ownership: NamespaceOwnership;
  /** The Node.js program, and the outpost's bundle for it. */
  readonly node: string;
  readonly outpostFile: string;
  /** unshare(1). */
  readonly unshare: string;
  /** fuse-overlayfs(1), where it is installed. */
  readonly fuseOverlay?: string | undefined;
  /** The bundle of threads that attend to something else. */
  readonly attendantFile: string;
}

/** Creates the data plane; threads start when they are first needed. */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  return new Threads(options);
}

class Threads implements DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #data: Thread[] = [];
  readonly #outpost: Outpost | undefined;
  readonly #open: OpenThread;
  #disposed = false;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    const { dirs, snapshotter, workerFile, threads, namespace } = options;
    const ownership = namespace?.ownership.kind ?? "machine";
    const workerData: WorkerData = { dirs, snapshotter, ownership, fuseOverlay: namespace?.fuseOverlay };
    this.#outpost =
      namespace && createOutpost({ ...namespace, entry: namespace.outpostFile, threads, workerFile, workerData });
    this.#open = this.#outpost?.open ?? localThreads(workerFile, workerData);
  }

  readonly #ground = lazy(async () => {
    const thread = this.#start();
    const ground = (await thread.ask({ type: "found" })) as Ground;
    if (ground.snapshotter === "native" && this.#options.snapshotter !== "native") this.#options.onFallback?.();
    return { thread, ground };
  });

  async run<N extends JobName>(name: N, args: JobArgs<N>, options: JobOptions = {}): Promise<JobResult<N>> {
    return this.#pick(options.affinity).queue(async (thread) => {
      const { ground } = await this.#ground();
      await thread.join(ground);
      await this.#handOver(options.affinity, thread);
      return thread.job(name, args, options);
    }, options) as Promise<JobResult<N>>;
  }

  async read<N extends JobName>(name: N, args: JobArgs<N>, options: JobOptions = {}): Promise<JobResult<N>> {
    const { affinity, signal } = options;
    if (signal?.aborted) throw canceled(signal);
    if (name === "forgetScan" && affinity !== undefined) this.#glances.forget(affinity);
    // What takes a moment is done at once where no thread is up: starting one costs more.
    if (isGlance(name) && !this.#data.some((thread) => affinity !== undefined && thread.affinities.has(affinity))) {
      const seen = await glance(name, args, this.#options.dirs).catch((error) => this.#unlessOthers(error));
      if (seen && affinity !== undefined) this.#glances.note(affinity, name, { args, value: seen.value });
      if (seen) return seen.value as JobResult<N>;
    } else if (name === "forgetScan") await glance("forgetScan", args, this.#options.dirs); // what was begun here, before a thread took over
    return this.#pick(affinity).queue(async (thread) => {
      if (name !== "forgetScan") await this.#handOver(affinity, thread);
      return thread.job(name, args, options);
    }, options) as Promise<JobResult<N>>;
  }

  readonly #glances = new Glances();

  /** Before anything else is done for AFFINITY, its thread sees to it that what was seen without it is still so. */
  async #handOver(affinity: string | undefined, thread: Thread): Promise<void> {
    if (affinity === undefined) return;
    const look = (request: ContentDigestRequest) => thread.job("contentDigest", request, {}) as Promise<ContentDigest>;
    await this.#glances.handOver(affinity, look);
  }

  async control<N extends JobName>(name: N, args: JobArgs<N>, options: JobOptions = {}): Promise<JobResult<N>> {
    options.signal?.throwIfAborted();
    const { thread } = await this.#ground();
    return (await thread.job(name, args, options)) as JobResult<N>;
  }

  async spawn(request: SpawnRequest, onOutput: (fd: 1 | 2, chunk: Uint8Array) => void): Promise<Spawned> {
    const { thread } = await this.#ground();
    return thread.spawn(request, onOutput);
  }

  readonly #attendants: Thread[] = [];

  async attend(args: unknown, { onReady, signal }: AttendOptions): Promise<void> {
    if (!this.#outpost) throw new EngineError("internal", "nothing is attended to but in a user namespace");
    await this.#ground();
    const thread = this.#attendants.pop() ?? this.#start(this.#outpost.attendants);
    try {
      await thread.job("attend", args, { signal, onProgress: onReady });
    } catch (error) {
      if (errorCode(error) === "canceled") this.#attendants.push(thread);
      throw error;
    }
    this.#attendants.push(thread);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const started = this.#all.splice(0);
    await Promise.all(started.map((thread) => thread.stop()));
    await this.#outpost?.[Symbol.asyncDispose]();
  }

  readonly #all: Thread[] = [];

  /** In a namespace the threads are root over files of other owners; this process is not. */
  #unlessOthers(error: unknown): undefined {
    if (this.#outpost === undefined || errorCode(error) !== "denied") throw error;
  }

  #start(open: OpenThread = this.#open): Thread {
    if (this.#disposed) throw new EngineError("canceled", "the engine is closed");
    const thread = new Thread(open);
    this.#all.push(thread);
    return thread;
  }

  /** The thread of an affinity, else an idle one, else a new one while there are fewer than the cores, else the least busy. */
  #pick(affinity: string | undefined): Thread {
    if (affinity !== undefined) {
      const owner = this.#data.find((thread) => thread.affinities.has(affinity)) ?? this.#pick(undefined);
      owner.affinities.add(affinity);
      return owner;
    }
    const idle = this.#data.find((thread) => thread.load === 0);
    if (idle) return idle;
    if (this.#data.length < this.#options.threads) {
      const thread = this.#start();
      this.#data.push(thread);
      return thread;
    }
    return this.#data.reduce((a, b) => (b.load < a.load ? b : a));
  }
}

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
}

interface Running {
  readonly onOutput: (fd: 1 | 2, chunk: Uint8Array) => void;
  readonly exited: (exit: ProcessExit) => void;
}

class Thread {
  readonly affinities = new Set<string>();
  readonly #channel: ThreadChannel;
  readonly #queue = new PQueue({ concurrency: 1 });
  readonly #calls = new Map<number, Call>();
  readonly #processes = new Map<number, Running>();
  #joined: Promise<unknown> | undefined;
  #nextId = 1;
  #stopped = false;
  /** Why it answers no more. */
  #ended: EngineError | undefined;

  constructor(open: OpenThread) {
    this.#channel = open({
      message: (message) => this.#receive(message),
      failed: (error) =>
        this.#fail(
          error instanceof EngineError
            ? error
            : new EngineError("internal", "a data-plane thread failed", { cause: error }),
        ),
      exited: () =>
        this.#fail(
          this.#stopped
            ? new EngineError("canceled", "the engine is closed")
            : new EngineError("internal", "a data-plane thread ended by itself"),
        ),
    });
  }

  get load(): number {
    return this.#queue.size + this.#queue.pending;
  }

  /** Waits for its turn on this thread, then works. */
  async queue<T>(work: (thread: Thread) => Promise<T>, { signal }: AbortOptions): Promise<T> {
    return this.#queue.add(() => {
      if (signal?.aborted) throw canceled(signal);
      return work(this);
    });
  }

  /** Takes the ground thread's mount namespace, once. */
  join(ground: Ground): Promise<unknown> {
    this.#joined ??= this.ask({ type: "join", ...ground });
    return this.#joined;
  }

  async job(name: string, args: unknown, { signal, onProgress }: JobOptions): Promise<unknown> {
    if (signal?.aborted) throw canceled(signal);
    const id = this.#nextId++;
    const abort = () => this.#channel.post({ type: "cancel", id });
    if (signal) heardByMany(signal).addEventListener("abort", abort, { once: true });
    try {
      return await this.#asked(id, { type: "job", name, args }, onProgress);
    } catch (error) {
      if (signal?.aborted && error instanceof EngineError && error.code === "canceled") throw canceled(signal);
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  ask(message: Distribute<ToThread>): Promise<unknown> {
    return this.#asked(this.#nextId++, message);
  }

  #asked(id: number, message: Distribute<ToThread>, onProgress?: Call["onProgress"]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#calls.set(id, { resolve, reject, onProgress });
      this.#channel.hold();
      this.#channel.post({ ...message, id } as ToThread);
    });
  }

  async spawn(request: SpawnRequest, onOutput: Running["onOutput"]): Promise<Spawned> {
    const id = this.#nextId++;
    const exit = new Promise<ProcessExit>((exited) => this.#processes.set(id, { onOutput, exited }));
    try {
      const pid = (await this.#asked(id, { type: "spawn", request })) as number;
      return { pid, exit, kill: (signal) => this.#channel.post({ type: "kill", id, signal }) };
    } catch (error) {
      this.#processes.delete(id);
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#channel.stop();
  }

  #receive(message: FromWorker): void {
    const { id } = message;
    switch (message.type) {
      case "done":
        this.#calls.get(id)?.resolve(message.value);
        break;
      case "failed":
        this.#calls.get(id)?.reject(revive(message.error));
        break;
      case "progress":
        this.#calls.get(id)?.onProgress?.(message.progress);
        return;
      case "output":
        this.#processes.get(id)?.onOutput(message.fd, message.chunk);
        this.#channel.post({ type: "taken", id, bytes: message.chunk.length });
        return;
      case "exit":
        this.#processes.get(id)?.exited({ code: message.code, signal: message.signal });
        this.#processes.delete(id);
        break;
    }
    if (message.type !== "exit") this.#calls.delete(id);
    if (this.#calls.size === 0 && this.#processes.size === 0) this.#channel.release();
  }

  #fail(error: EngineError): void {
    this.#ended ??= error;
    for (const call of this.#calls.values()) call.reject(error);
    for (const process of this.#processes.values()) process.exited({ code: null, signal: "SIGKILL" });
    this.#calls.clear();
    this.#processes.clear();
  }
}

type Distribute<T> = T extends { readonly id: number } ? Omit<T, "id"> : never;

function revive(plain: PlainError): EngineError {
  const cause = new Error(plain.message);
  if (plain.stack !== undefined) cause.stack = plain.stack;
  return new EngineError(plain.code, plain.message, {
    cause,
    ...(plain.hint === undefined ? {} : { hint: plain.hint }),
  });
}

export type { JobContext, JobProgress };
