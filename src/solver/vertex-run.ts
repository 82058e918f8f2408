import { errorCode, messageOf } from "../base/index.js";
import type { Outcome } from "../progress/index.js";
import type { CacheKey } from "./cache-manager.js";
import type { OpContext, Result } from "./op.js";
import type { TaskScope } from "./vertex-task.js";

/** How a vertex is run that no cache has. */
export interface VertexRun<R extends Result> {
  /** Whoever runs the same has the same key. */
  readonly key: CacheKey;
  /** Whether another process's result will do. */
  readonly shared: boolean;
  /** What another process has saved under the key; leased. */
  readonly find: () => Promise<readonly R[] | undefined>;
  readonly exec: (signal: AbortSignal) => Promise<readonly R[]>;
  /** Keeps results, for whoever finds them. */
  readonly save: (results: readonly R[]) => Promise<void>;
  /** Told that it begins to run; never rejects. */
  readonly missed: () => Promise<void>;
}

/** Results, the caller's, and whether they were found after all. */
export interface RunResults<R extends Result> {
  readonly results: readonly R[];
  readonly found: boolean;
}

/**
 * Runs a vertex, or waits for another build that runs the same: one of this process shares what it makes, one of another process
 * leaves it in the cache. Says that it runs, and how it ended.
 */
export function runOnce<R extends Result>(
  run: VertexRun<R>,
  scope: TaskScope<R>,
  context: OpContext,
): Promise<RunResults<R>> {
  return new SharedRun(run, scope, context).results();
}

class SharedRun<R extends Result> {
  readonly #run: VertexRun<R>;
  readonly #scope: TaskScope<R>;
  readonly #context: OpContext;
  /** `follower`: another build of this process runs it. */
  #role: "follower" | "runner" | "finder" = "follower";
  #begun = false;
  #waited = false;
  #told: Promise<void> | undefined;

  constructor(run: VertexRun<R>, scope: TaskScope<R>, context: OpContext) {
    this.#run = run;
    this.#scope = scope;
    this.#context = context;
  }

  async results(): Promise<RunResults<R>> {
    const { signal, vertex, progress } = this.#context;
    try {
      const running = this.#scope.running.do(this.#run.key, (signal) => this.#lead(signal), { signal });
      if (this.#role === "follower") this.#miss();
      const results = await running;
      await this.#told;
      const found = this.#role === "finder";
      if (found) progress.emit({ type: "vertex-cached", vertex, at: this.#now() });
      else this.#complete({ kind: "done" });
      return { results, found };
    } catch (error) {
      await this.#told;
      const canceled = errorCode(error) === "canceled" || signal.aborted || this.#scope.isPassing(error);
      if (!canceled) this.#begin();
      if (this.#begun) this.#complete(canceled ? { kind: "canceled" } : { kind: "error", message: messageOf(error) });
      throw error;
    }
  }

  /** What this build does for all of this process that ask for the same; SIGNAL is theirs. */
  async #lead(signal: AbortSignal): Promise<readonly R[]> {
    this.#role = "runner";
    const { shared, find, exec, save } = this.#run;
    using _ = shared ? await this.#lock(signal) : undefined;
    const found = shared ? await find() : undefined;
    if (found) {
      this.#role = "finder";
      return found;
    }
    this.#miss();
    const results = await exec(signal);
    // Who waits in another process looks into the cache as soon as it has the lock. A build that was left keeps nothing.
    if (this.#context.signal.aborted) return results;
    try {
      await save(results);
      return results;
    } catch (error) {
      await Promise.allSettled(results.map((result) => result[Symbol.asyncDispose]()));
      throw error;
    }
  }

  /** The lock of the key; says that it is waited for. */
  async #lock(signal: AbortSignal): Promise<Disposable | undefined> {
    const startedAt = this.#now();
    let waiting: string | undefined;
    const say = (id: string, done: boolean) => {
      const count = { current: 0, unit: "none", at: this.#now(), startedAt, done } as const;
      this.#context.progress.emit({ type: "status", vertex: this.#context.vertex.digest, id, ...count });
    };
    const onWait = (holder?: string) => {
      if (waiting !== undefined) say(waiting, true);
      waiting = holder === undefined ? WAITING : `${WAITING}, ${holder}`;
      this.#begin();
      say(waiting, false);
    };
    try {
      return await this.#scope.locks?.take(this.#run.key, { signal, onWait });
    } finally {
      if (waiting !== undefined) say(waiting, true);
      this.#waited = waiting !== undefined;
    }
  }

  #miss(): void {
    this.#begun &&= !this.#waited; // the wait is none of its time
    this.#begin();
    this.#told = this.#run.missed();
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const { progress, vertex } = this.#context;
    progress.emit({ type: "vertex-started", vertex, at: this.#now() });
  }

  #complete(outcome: Outcome): void {
    const { progress, vertex } = this.#context;
    progress.emit({ type: "vertex-completed", vertex: vertex.digest, at: this.#now(), outcome });
  }

  #now(): number {
    return this.#scope.clock.now();
  }
}

const WAITING = "waiting for the same step of another build";
