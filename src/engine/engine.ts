import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {
  type Clock,
  canceled,
  EngineError,
  errorCode,
  firstError,
  lazy,
  messageOf,
  Scope,
  systemClock,
} from "../base/index.js";
import { cacheMigrations, cacheMountMigrations, createCacheMounts } from "../cache/index.js";
import type { Executor } from "../executor/index.js";
import type { FileResult } from "../ops/index.js";
import {
  createDataPlane,
  createLayerStore,
  createOwner,
  isInUserNamespace,
  layerMigrations,
  type Ownership,
} from "../snapshot/index.js";
import { createRunning } from "../solver/index.js";
import { createImageSource, httpEntityMigrations } from "../sources/index.js";
import {
  createContentStore,
  createImageStore,
  createReferenceStore,
  imageStoreMigrations,
  openDatabase,
  referenceStoreMigrations,
} from "../store/index.js";
import { type BuildEngine, runBuild } from "./build.js";
import { bundleFile } from "./bundles.js";
import { createLayerFetcher } from "./catalog.js";
import { forgetUnsynced, syncSettled } from "./durability.js";
import { bootId, coreCount, defaultRoot, prepareGround } from "./ground.js";
import { listImages } from "./images.js";
import { loadImages } from "./load.js";
import { createNetworkSources } from "./network-sources.js";
import { createNotices, type Notices } from "./notices.js";
import { createOutputs } from "./outputs.js";
import { chooseOwnership, namespaceFact, namespacePlane } from "./ownership.js";
import { diskUsage, type PruneEngine, prune } from "./prune.js";
import { openRegistry } from "./registries.js";
import {
  BuildFailure,
  type BuildRequest,
  type BuildResult,
  type CheckReport,
  type Engine,
  type EngineOptions,
  type OutlineReport,
  type RunRequest,
  type TargetsReport,
} from "./request.js";
import { checkRequest } from "./request-check.js";
import { runImage } from "./run.js";
import { createStepNetworks, type StepNetworks, sweepStepNetworks } from "./step-networks.js";
import { sweepDeadOwners } from "./sweep.js";

/** Opens an engine on a state directory, which it makes where it is missing. The caller disposes of it. */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  await using scope = new Scope();
  const env = options.env ?? {};
  const root =
    options.root ??
    defaultRoot(process.getuid?.() ?? 0, { xdgDataHome: env.XDG_DATA_HOME, home: env.HOME ?? os.homedir() });
  const searchPath = env.PATH ?? DEFAULT_PATH;
  const program = async (name: string) => (await import("../executor/index.js")).findProgram(name, searchPath);
  const { ownership, missing } = await chooseOwnership(program);
  const ground = prepareGround(root, { snapshotter: options.snapshotter, ownership });
  const { dirs } = ground;
  scope.defer(() => {
    const made = path.join(dirs.run, owner.id);
    if (fs.existsSync(made)) fs.rmSync(made, { recursive: true, force: true });
  });
  const boot = bootId();
  const notices = createNotices();
  if (ground.copies) notices.say(COPIED_LAYERS);
  if (missing !== undefined) notices.say(`${SINGLE_OWNER}: ${missing}`);
  const owner = scope.use(createOwner(dirs.owners, `${process.pid}-${randomUUID()}`));
  const migrations = [
    ...imageStoreMigrations,
    ...referenceStoreMigrations,
    ...layerMigrations,
    ...cacheMigrations,
    ...cacheMountMigrations,
    ...httpEntityMigrations,
  ];
  const database = await openDatabase(dirs.database, migrations);
  scope.defer(() => database.close());
  const clock: Clock = systemClock;
  const plane = scope.use(
    createDataPlane({
      dirs,
      snapshotter: ground.snapshotter,
      workerFile: bundleFile("worker"),
      threads: coreCount(),
      namespace: ownership.kind === "machine" ? undefined : await namespacePlane(ownership, program),
      onFallback: () => notices.say(COPIED_LAYERS),
    }),
  );
  const networks = scope.use(
    createStepNetworks({
      mode: options.network ?? "auto",
      plane,
      dirs,
      owner: owner.id,
      searchPath,
      seed: process.pid,
      root: ownership.kind === "machine",
      onNotice: (sentence) => notices.say(sentence),
    }),
  );
  const store = createContentStore(dirs.root, clock);
  const images = createImageStore(database, clock);
  const references = createReferenceStore(database, clock);
  const registry = scope.use(openRegistry(options, clock));
  const fetchLayer = createLayerFetcher(store, registry);
  const layers = scope.use(
    createLayerStore({ database, plane, owner: owner.id, bootId: boot, clock, fetch: fetchLayer }),
  );
  const cacheMounts = createCacheMounts({ database, layers, dirs, clock });
  const imageSource = createImageSource({ images, references, content: store, registry });
  const executor = lazy(async (): Promise<Executor> => {
    const { createExecutor, findRuntime, readCgroups, runtimeRunner, sandboxRunner } = await import(
      "../executor/index.js"
    );
    const userNamespace = ownership.kind !== "machine" || isInUserNamespace();
    const runner =
      options.isolation === "sandbox"
        ? sandboxRunner({ node: process.execPath, entry: bundleFile("sandbox") }, process.arch)
        : runtimeRunner(findRuntime({ searchPath, only: options.runtime }), readCgroups(), { userNamespace });
    const attendants = ownership.kind === "single" ? plane : undefined;
    const executing = { dirs, owner: owner.id, runner, userNamespace, attendants, searchPath };
    return createExecutor({ ...executing, spawner: plane, networks: await networks.open() });
  });
  const newId = () => randomUUID();
  const network = createNetworkSources({ env, searchPath, plane, dirs, database, clock });
  const { entities, gitSource } = network;
  scope.defer(() => network.web.close());
  const outputs = createOutputs({
    plane,
    layers,
    store,
    images,
    clock,
    dirs,
    fetchLayer,
    registry,
    cores: coreCount(),
    owner: writerOf(ownership),
  });
  const running = createRunning<FileResult>();
  const parts = {
    owner: owner.id,
    dirs,
    plane,
    database,
    layers,
    executor,
    imageSource,
    cacheMounts,
    running,
    outputs,
    ...network,
    cdiDirectories: options.cdiDirectories,
    clock,
    newId,
  };
  await sweepDeadOwners({ dirs, layers, store, owner: owner.id });
  await sweepStepNetworks({ plane, searchPath });
  await forgetUnsynced({ database, plane, clock, bootId: boot });
  const pruning: PruneEngine = {
    dirs,
    database,
    plane,
    store,
    images,
    references,
    cacheMounts,
    gitSource,
    entities,
    clock,
    owner: owner.id,
  };
  return new OpenEngine({
    parts,
    pruning,
    scope: scope.move(),
    notices,
    sync: () => syncSettled({ database, plane, clock, bootId: boot }),
    snapshotter: ground.snapshotter,
    ownership,
    networks,
  });
}

/** ERROR, with what can be done where the disk is full. */
function advised(error: unknown, root: string): unknown {
  if (errorCode(error) !== "no-space" || (error instanceof EngineError && error.hint !== undefined)) return error;
  const hint = `make room (the state directory is ${root}; ashlar prune --all empties its cache), or name another place with --root`;
  if (error instanceof BuildFailure) return new BuildFailure(error.code, error.message, error, { cause: error, hint });
  return new EngineError("no-space", messageOf(error), { cause: error, hint });
}

/** Whoever runs this, as the data plane knows them: the owner of files that are written for them. In a user namespace they are root. */
function writerOf(ownership: Ownership): { readonly uid: number; readonly gid: number } {
  return ownership.kind === "machine" ? { uid: 0, gid: process.getgid?.() ?? 0 } : { uid: 0, gid: 0 };
}

const COPIED_LAYERS =
  "layers can't be stacked in the state directory (overlay file systems don't work there): they are copied, which is slower; name another place with --root";
const SINGLE_OWNER =
  "this user has no subordinate ids, so that the owners of files are noted beside them, which is slower; to change that";
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

interface Parts {
  readonly parts: BuildEngine;
  readonly pruning: PruneEngine;
  readonly scope: Scope;
  readonly notices: Notices;
  /** Notes what has reached the disk. */
  readonly sync: () => Promise<void>;
  readonly snapshotter: string;
  readonly ownership: Ownership;
  readonly networks: StepNetworks;
}

class OpenEngine implements Engine {
  readonly #parts: BuildEngine;
  readonly #pruning: PruneEngine;
  readonly #scope: Scope;
  readonly #snapshotter: string;
  readonly #ownership: Ownership;
  readonly #networks: StepNetworks;
  readonly #closing = new AbortController();
  readonly #working = new Set<Promise<unknown>>();
  readonly #notices: Notices;
  readonly #sync: () => Promise<void>;

  constructor({ parts, pruning, scope, notices, sync, snapshotter, ownership, networks }: Parts) {
    this.#parts = parts;
    this.#pruning = pruning;
    this.#scope = scope;
    this.#notices = notices;
    this.#snapshotter = snapshotter;
    this.#ownership = ownership;
    this.#networks = networks;
    this.#sync = lazy(sync);
  }

  async build(request: BuildRequest): Promise<BuildResult> {
    checkRequest(request);
    const closable = this.#closable(request);
    return this.#track(this.#cancelable(this.#build(closable), closable.signal));
  }

  async #build(request: BuildRequest): Promise<BuildResult> {
    using _ = this.#notices.listen(request.onProgress);
    this.#track(this.#sync()).catch(() => {}); // the next engine tries again
    return await runBuild(this.#parts, request);
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

  graphs(request: BuildRequest): ReturnType<Engine["graphs"]> {
    const closable = this.#closable(request);
    const graphs = async () => (await import("./graph-dump.js")).buildGraphs(this.#parts, closable);
    return this.#track(this.#cancelable(graphs(), closable.signal));
  }

  run(request: RunRequest): Promise<number> {
    const closable = this.#closable(request);
    return this.#track(this.#cancelable(runImage(this.#parts, closable), closable.signal));
  }

  images(): ReturnType<Engine["images"]> {
    return listImages(this.#pruning);
  }

  prune(options: Parameters<Engine["prune"]>[0]): ReturnType<Engine["prune"]> {
    return this.#track(prune(this.#pruning, options));
  }

  diskUsage(): ReturnType<Engine["diskUsage"]> {
    return diskUsage(this.#pruning);
  }

  load(path: string, name?: string): Promise<string> {
    return this.#track(loadImages(this.#parts, this.#pruning, { path, name }));
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
    await Promise.allSettled(this.#working);
    await this.#scope[Symbol.asyncDispose]();
  }

  /** The end of what SIGNAL has canceled is a cancellation, whatever was thrown on the way. */
  async #cancelable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw signal?.aborted ? canceled(signal) : error;
    }
  }

  #closable<R extends { readonly signal?: AbortSignal }>(request: R): R {
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
