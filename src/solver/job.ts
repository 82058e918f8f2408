import { setMaxListeners } from "node:events";
import { type Clock, EngineError, Flight, Scope } from "../base/index.js";
import type { ProgressSink, VertexInfo } from "../progress/index.js";
import type { VertexAccount } from "./account.js";
import type { CacheKey, CacheManager, CacheRecord } from "./cache-manager.js";
import type { OpContext, ResolveOp, Result } from "./op.js";
import { spareRecords } from "./spare.js";
import type { StepLocks } from "./step-locks.js";
import type { Vertex, VertexEdge } from "./vertex.js";
import { type Plan, type TaskScope, VertexTask } from "./vertex-task.js";

/** One build's solving: vertices become tasks, each asked at most once. Disposing of it releases every result. */
export interface Job<D, R extends Result> extends AsyncDisposable {
  /** The result of EDGE; it stays the job's. The first failure cancels everything else, and it settles when all has stopped. */
  solve(edge: VertexEdge<D>): Promise<R>;
  /** Where the first error came from. */
  readonly failure: { readonly vertex: VertexInfo; readonly error: unknown } | undefined;
  /** Every vertex that ran or was found, in the order they were known, and whether it was cached. */
  readonly steps: readonly { readonly vertex: VertexInfo; readonly cached: boolean }[];
  /**
   * What `solve` would do for EDGES, of every vertex below them, inputs first. Nothing runs from here on, so that the job can solve nothing
   * any more.
   */
  plan(edges: readonly VertexEdge<D>[]): Promise<readonly PlannedVertex[]>;
  /** What every vertex counted by, inputs first. */
  accounts(): readonly VertexAccount[];
  /**
   * The records of every vertex that a cache has, also of those that nobody needed, inputs first; leased. Asked when all is solved. Nothing
   * runs and no result is loaded for it.
   */
  records(): Promise<readonly CacheRecord[]>;
  /**
   * The records in the first cache that nothing left to do needs for what `solve` was asked for. Who gives up their leases asks for
   * nothing else to be solved, nor for `records`. None, once a record was lost: then much may be asked again.
   */
  spare(): readonly CacheRecord[];
}

/** `depends`: it can't be told before ON has run. What a source is needs no telling. */
export interface PlannedVertex {
  readonly account: VertexAccount;
  readonly plan: Plan;
}

export interface JobOptions<D, R extends Result> {
  readonly buildId: string;
  readonly resolveOp: ResolveOp<D, R>;
  readonly caches: readonly [CacheManager<R>, ...CacheManager<R>[]];
  /** Shared by all jobs of a process: `createRunning`. */
  readonly running: Flight<CacheKey, readonly R[]>;
  /** Shared with other processes: a step that runs already in one of them is waited for. Default: nobody is waited for. */
  readonly locks?: StepLocks | undefined;
  readonly progress: ProgressSink;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Whether an error is no failure of the vertex where it comes up, since all will be asked once more. Default: none is. */
  readonly isPassing?: ((error: unknown) => boolean) | undefined;
  /** Told what an op has made, as soon as it has run; the results stay the job's. */
  readonly onMade?: ((vertex: VertexInfo, results: readonly R[]) => void) | undefined;
  /** Told of a vertex that is not in the cache, when it begins to run; it is not said to be complete before this has settled. Never rejects. */
  readonly onMiss?: ((account: VertexAccount, context: OpContext) => Promise<void>) | undefined;
}

/** What the jobs of one process share of running ops: every build that waits gets handles of its own. */
export function createRunning<R extends Result>(): Flight<CacheKey, readonly R[]> {
  return new Flight({
    share: (results) => results.map((result) => result.clone()),
    release: (results) => {
      for (const result of results) result[Symbol.asyncDispose]().then(undefined, () => {});
    },
  });
}

/** Creates a job. The caller disposes of it. */
export function createJob<D, R extends Result>(options: JobOptions<D, R>): Job<D, R> {
  return new SolverJob(options);
}

class SolverJob<D, R extends Result> implements Job<D, R> {
  readonly steps: { readonly vertex: VertexInfo; readonly cached: boolean }[] = [];
  failure: Job<D, R>["failure"];
  readonly #options: JobOptions<D, R>;
  readonly #controller = new AbortController();
  readonly #results = new Scope();
  readonly #tasks = new Map<string, VertexTask<R>>();
  /** What was asked for. */
  readonly #roots = new Set<VertexTask<R>>();
  readonly #working = new Set<Promise<unknown>>();
  readonly #scope: TaskScope<R>;

  constructor(options: JobOptions<D, R>) {
    this.#options = options;
    const { signal } = options;
    setMaxListeners(0, this.#controller.signal); // every vertex that runs listens; Node would warn of more than ten
    const abort = () => this.#controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    this.#results.defer(() => signal?.removeEventListener("abort", abort));
    this.#scope = {
      caches: options.caches,
      running: options.running,
      locks: options.locks,
      clock: options.clock,
      buildId: options.buildId,
      epoch: 0,
      isDry: false,
      own: (result) => void this.#results.use(result),
      track: (work) => this.#track(work),
      isPassing: (error) => options.isPassing?.(error) ?? false,
      onFailure: (vertex, error) => {
        this.failure ??= { vertex, error };
      },
      onMade: (vertex, results) => options.onMade?.(vertex, results),
      onMiss: async (account, context) => options.onMiss?.(account, context),
      onVertex: (vertex, cached) => this.steps.push({ vertex, cached }),
    };
  }

  async solve(edge: VertexEdge<D>): Promise<R> {
    try {
      this.#controller.signal.throwIfAborted();
      const task = this.#task(edge.vertex);
      this.#roots.add(task);
      return await task.result(edge.index);
    } catch (error) {
      this.#controller.abort(new EngineError("canceled", "canceled: another step failed", { cause: error }));
      while (this.#working.size > 0) await Promise.allSettled(this.#working);
      throw error;
    }
  }

  async plan(edges: readonly VertexEdge<D>[]): Promise<readonly PlannedVertex[]> {
    this.#scope.isDry = true;
    const plans = new Map<VertexTask<R>, Plan>();
    const needed = edges.map(({ vertex }) => this.#task(vertex));
    for (let task = needed.pop(); task !== undefined; task = needed.pop()) {
      if (plans.has(task)) continue;
      const plan = await task.plan();
      plans.set(task, plan);
      if (plan.kind !== "cached") needed.push(...task.inputs.map((input) => input.task));
    }
    const all = new Set<VertexTask<R>>();
    const below = edges.map(({ vertex }) => this.#task(vertex));
    for (let task = below.pop(); task !== undefined; task = below.pop()) {
      if (all.has(task)) continue;
      all.add(task);
      below.push(...task.inputs.map((input) => input.task));
    }
    const tasks = [...this.#tasks.values()].filter((task) => all.has(task));
    // Whose cache has what nobody needs is only asked where there are several.
    const places = this.#options.caches.length > 1 ? await this.#locateAll(tasks) : undefined;
    // What something cached is made from is not needed, be it in the cache or not.
    return tasks.map((task) => ({
      account: task.account,
      plan: plans.get(task) ?? { kind: "cached", record: places?.get(task) },
    }));
  }

  accounts(): readonly VertexAccount[] {
    return Array.from(this.#tasks.values(), (task) => task.account);
  }

  async records(): Promise<readonly CacheRecord[]> {
    const records = [...(await this.#locateAll([...this.#tasks.values()])).values()];
    return [...new Map(records.map((record) => [record.id, record])).values()];
  }

  spare(): readonly CacheRecord[] {
    if (this.#scope.epoch > 0) return [];
    return spareRecords([...this.#tasks.values()], this.#roots, this.#options.caches[0]);
  }

  async #locateAll(tasks: readonly VertexTask<R>[]): Promise<ReadonlyMap<VertexTask<R>, CacheRecord>> {
    const { locateAll } = await import("./whereabouts.js");
    return this.#track(locateAll(tasks, this.#options.caches, { signal: this.#controller.signal }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new EngineError("canceled", "the build has ended"));
    while (this.#working.size > 0) await Promise.allSettled(this.#working);
    await this.#results[Symbol.asyncDispose]();
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work);
    const done = () => this.#working.delete(work);
    work.then(done, done);
    return work;
  }

  /** The task of a vertex, made with those of its inputs; no recursion, so that depth has no bound. */
  #task(root: Vertex<D>): VertexTask<R> {
    const pending = [root];
    for (let vertex = pending.at(-1); vertex; vertex = pending.at(-1)) {
      const missing = vertex.inputs.filter((edge) => !this.#tasks.has(edge.vertex.digest));
      if (missing.length > 0) {
        pending.push(...missing.map((edge) => edge.vertex));
        continue;
      }
      pending.pop();
      if (!this.#tasks.has(vertex.digest)) this.#tasks.set(vertex.digest, this.#create(vertex));
    }
    return this.#known(root);
  }

  #create(vertex: Vertex<D>): VertexTask<R> {
    const inputs = vertex.inputs.map((edge) => ({ task: this.#known(edge.vertex), index: edge.index }));
    const context = { signal: this.#controller.signal, progress: this.#options.progress };
    return new VertexTask(vertex, this.#options.resolveOp(vertex), inputs, this.#scope, context);
  }

  #known(vertex: Vertex<D>): VertexTask<R> {
    const task = this.#tasks.get(vertex.digest);
    if (!task) throw new EngineError("internal", `no task of vertex ${vertex.name}`);
    return task;
  }
}
