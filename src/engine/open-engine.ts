import { canceled, EngineError, errorCode, firstError, lazy, messageOf, type Scope } from "../base/index.js";
import type { Ownership } from "../snapshot/index.js";
import { type BuildEngine, runBuild } from "./build.js";
import type { LocalCacheMounts } from "./cache-mount-tools.js";
import type { Callers } from "./callers.js";
import { coreCount } from "./ground.js";
import { nameOfImage } from "./image-lookup.js";
import type { LocalImages } from "./image-requests.js";
import { createLocalImages } from "./local-images.js";
import type { Notices } from "./notices.js";
import { namespaceFact } from "./ownership.js";
import type { PruneEngine } from "./prune.js";
import type { BuildRequest, Engine, RunRequest } from "./request.js";
import { checkRequest } from "./request-check.js";
import { withReserve } from "./reserve.js";
import {
  BuildFailure,
  type BuildResult,
  type CheckReport,
  type ExplainRequest,
  type OutlineReport,
  type TargetsReport,
} from "./result.js";
import { runImage } from "./run.js";
import type { ShellRequest } from "./shell.js";
import type { StepNetworks } from "./step-networks.js";

/** What an open engine is made of. It owns `scope`, which holds whatever must be closed. */
export interface EngineParts {
  readonly parts: BuildEngine;
  readonly pruning: PruneEngine;
  readonly scope: Scope;
  readonly notices: Notices;
  readonly callers: Callers;
  /** Notes what has reached the disk. */
  readonly sync: () => Promise<void>;
  readonly snapshotter: string;
  readonly ownership: Ownership;
  readonly networks: StepNetworks;
}

/** The doors of an engine whose parts are wired: work is tracked until the engine is closed, and ends when it is. */
export class OpenEngine implements Engine {
  readonly images: LocalImages;
  readonly cacheMounts: LocalCacheMounts;
  readonly #parts: BuildEngine;
  readonly #pruning: PruneEngine;
  readonly #scope: Scope;
  readonly #snapshotter: string;
  readonly #ownership: Ownership;
  readonly #networks: StepNetworks;
  readonly #closing = new AbortController();
  readonly #working = new Set<Promise<unknown>>();
  readonly #notices: Notices;
  readonly #callers: Callers;
  readonly #sync: () => Promise<void>;

  constructor({ parts, pruning, scope, notices, callers, sync, snapshotter, ownership, networks }: EngineParts) {
    this.#parts = parts;
    this.#pruning = { ...pruning, isBusy: () => this.#working.size > 1 };
    this.#scope = scope;
    this.#notices = notices;
    this.#callers = callers;
    this.#snapshotter = snapshotter;
    this.#ownership = ownership;
    this.#networks = networks;
    this.#sync = lazy(sync);
    this.cacheMounts = this.#openCacheMounts();
    this.images = createLocalImages({
      parts,
      pruning: this.#pruning,
      run: (work, body) => {
        const { signal } = this.#closable(work.signal ? { signal: work.signal } : {});
        return this.#track(
          this.#cancelable(
            this.#listening(work.onProgress, () => body(signal)),
            signal,
          ),
        );
      },
    });
  }

  /** The doors to the cache mounts of steps, which are loaded when somebody comes. */
  #openCacheMounts(): LocalCacheMounts {
    const tools = lazy(() => import("./cache-mount-tools.js"));
    const engine = this.#pruning;
    return {
      list: () => this.#track(tools().then(({ listCacheMounts }) => listCacheMounts(engine))),
      remove: (ids) => this.#track(tools().then(({ removeCacheMounts }) => removeCacheMounts(engine, ids))),
      export: (request) =>
        this.#track(tools().then(({ exportCacheMount }) => exportCacheMount(engine, this.#closable(request)))),
      import: (request) =>
        this.#track(tools().then(({ importCacheMount }) => importCacheMount(engine, this.#closable(request)))),
    };
  }

  async #listening<T>(listener: BuildRequest["onProgress"], work: () => Promise<T>): Promise<T> {
    using _ = this.#notices.listen(listener);
    return await work();
  }

  async build(request: BuildRequest): Promise<BuildResult> {
    checkRequest(request);
    const closable = this.#closable(request);
    return this.#track(this.#cancelable(this.#build(closable), closable.signal));
  }

  async #build(request: BuildRequest): Promise<BuildResult> {
    using _ = this.#notices.listen(request.onProgress);
    this.#track(this.#sync()).catch(() => {}); // the next engine tries again
    try {
      return await runBuild(this.#parts, request);
    } finally {
      await this.#parts.keeper.settle(this.#working.size > 1);
    }
  }

  check(request: BuildRequest): Promise<CheckReport> {
    return this.#inspect(request, ({ checkBuild }, parts, closable) => checkBuild(parts, closable));
  }

  outline(request: BuildRequest): Promise<OutlineReport> {
    return this.#inspect(request, ({ outlineBuild }, parts, closable) => outlineBuild(parts, closable));
  }

  targets(request: BuildRequest): Promise<TargetsReport> {
    return this.#inspect(request, ({ listBuildTargets }, parts, closable) => listBuildTargets(parts, closable));
  }

  #inspect<T>(
    request: BuildRequest,
    ask: (inspect: typeof import("./inspect.js"), parts: BuildEngine, request: BuildRequest) => Promise<T>,
  ): Promise<T> {
    const closable = this.#closable(request);
    const asked = async () => {
      using _ = this.#notices.listen(request.onProgress);
      return await ask(await import("./inspect.js"), this.#parts, closable);
    };
    return this.#track(this.#cancelable(asked(), closable.signal));
  }

  plan(request: BuildRequest): ReturnType<Engine["plan"]> {
    const closable = this.#closable(request);
    const planned = async () => {
      using _ = this.#notices.listen(request.onProgress);
      return await (await import("./plan.js")).planBuild(this.#parts, closable);
    };
    return this.#track(this.#cancelable(planned(), closable.signal));
  }

  explain(request: ExplainRequest): ReturnType<Engine["explain"]> {
    const build = this.#closable(request.build);
    const explained = async () => (await import("./explain-step.js")).explainStep(this.#parts, { ...request, build });
    return this.#track(this.#cancelable(explained(), build.signal));
  }

  graphs(request: BuildRequest): ReturnType<Engine["graphs"]> {
    const closable = this.#closable(request);
    const graphs = async () => (await import("./graph-dump.js")).buildGraphs(this.#parts, closable);
    return this.#track(this.#cancelable(graphs(), closable.signal));
  }

  async run(request: RunRequest): Promise<number> {
    const closable = this.#closable(request);
    const image = nameOfImage(this.#pruning.images, request.image);
    return this.#track(this.#cancelable(runImage(this.#parts, { ...closable, image }), closable.signal));
  }

  shell(request: ShellRequest): Promise<number> {
    const closable = this.#closable(request);
    const shell = async () => (await import("./shell.js")).shellIn(this.#parts, closable);
    return this.#track(this.#cancelable(shell(), closable.signal));
  }

  prune(request: Parameters<Engine["prune"]>[0]): ReturnType<Engine["prune"]> {
    const closable = this.#closable(request);
    const pruned = async () => (await import("./prune.js")).prune(this.#pruning, closable);
    return this.#track(this.#cancelable(withReserve(this.#parts.dirs, pruned), closable.signal));
  }

  diskUsage(): ReturnType<Engine["diskUsage"]> {
    return this.#track(import("./prune.js").then(({ diskUsage }) => diskUsage(this.#pruning)));
  }

  verify(options: Parameters<Engine["verify"]>[0] = {}): ReturnType<Engine["verify"]> {
    const { signal } = this.#closable(options);
    const verified = async () => (await import("./verify.js")).verifyStore(this.#pruning, { signal });
    return this.#track(this.#cancelable(verified(), signal));
  }

  async info(): Promise<Readonly<Record<string, string>>> {
    return {
      Root: this.#parts.dirs.root,
      Snapshotter: this.#snapshotter,
      ...(this.#ownership.kind === "machine" ? {} : { "User namespace": namespaceFact(this.#ownership) }),
      Cores: String(coreCount()),
      Network: await this.#network(),
    };
  }

  async #network(): Promise<string> {
    const driver = await (await this.#networks.open()).driver();
    return driver ? `${driver.name} (${driver.description})` : "host (steps share the network of this machine)";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new EngineError("canceled", "the engine is closed"));
    using _ = this.#callers.wait(this.#closing.signal);
    await Promise.allSettled(this.#working);
    await this.#scope[Symbol.asyncDispose]();
  }

  /** The end of what SIGNAL has canceled is a cancellation, whatever was thrown on the way. */
  async #cancelable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    using _ = signal && this.#callers.wait(signal);
    try {
      return await work;
    } catch (error) {
      throw signal?.aborted ? canceled(signal) : error;
    }
  }

  #closable<R extends { readonly signal?: AbortSignal | undefined }>(request: R): R & { readonly signal: AbortSignal } {
    const signal = request.signal ? AbortSignal.any([request.signal, this.#closing.signal]) : this.#closing.signal;
    return { ...request, signal };
  }

  #track<T>(started: Promise<T>): Promise<T> {
    const work = started.catch((error) => {
      throw advised(firstError(error), this.#parts.dirs.root);
    });
    this.#working.add(work);
    const done = () => this.#working.delete(work);
    work.then(done, done);
    return work;
  }
}

/** ERROR, with what can be done where the disk is full. */
function advised(error: unknown, root: string): unknown {
  if (errorCode(error) !== "no-space" || (error instanceof EngineError && error.hint !== undefined)) return error;
  const hint = `make room (the state directory is ${root}; ashlar prune --all empties its cache), or name another place with --root`;
  if (error instanceof BuildFailure) return new BuildFailure(error.code, error.message, error, { cause: error, hint });
  return new EngineError("no-space", messageOf(error), { cause: error, hint });
}
