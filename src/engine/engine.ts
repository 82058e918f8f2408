import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Clock, canceled, lazy, Scope, systemClock } from "../base/index.js";
import {
  cacheMigrations,
  cacheMountMigrations,
  createCacheMounts,
  createStepLocks,
  historyMigrations,
} from "../cache/index.js";
import type { Executor } from "../executor/index.js";
import type { Provider } from "../oci/index.js";
import type { FileResult } from "../ops/index.js";
import {
  createDataPlane,
  createLayerStore,
  createOwner,
  type FetchLayer,
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
import { bundleFile } from "./bundles.js";
import { cacheConfigFiles } from "./cache-config.js";
import { type Callers, createCallers } from "./callers.js";
import { createLayerFetcher } from "./catalog.js";
import { forgetUnsynced, syncSettled } from "./durability.js";
import { openSound } from "./fresh-database.js";
import { bootId, coreCount, defaultRoot, prepareGround } from "./ground.js";
import { openKeeper } from "./keeper.js";
import { createNetworkSources } from "./network-sources.js";
import { createNotices } from "./notices.js";
import { OpenEngine } from "./open-engine.js";
import { createOutputs } from "./outputs.js";
import { chooseOwnership, namespacePlane } from "./ownership.js";
import type { PruneEngine } from "./prune.js";
import { openRegistry } from "./registries.js";
import type { Engine, EngineOptions } from "./request.js";
import { keepReserve, withReserve } from "./reserve.js";
import { createStepNetworks, sweepStepNetworks } from "./step-networks.js";
import { sweepDeadOwners } from "./sweep.js";

/** Opens an engine on a state directory, which it makes where it is missing. The caller disposes of it. */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  const { signal } = options;
  const callers = createCallers();
  using _ = signal && callers.wait(signal);
  try {
    return await openOn(options, callers);
  } catch (error) {
    throw signal?.aborted ? canceled(signal) : error;
  }
}

async function openOn(options: EngineOptions, callers: Callers): Promise<Engine> {
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
  const clock: Clock = systemClock;
  const notices = createNotices(options.onProgress, clock);
  if (ground.copies) notices.say(COPIED_LAYERS);
  if (missing !== undefined) notices.say(`${SINGLE_OWNER}: ${missing}`);
  const owner = scope.use(createOwner(dirs.owners, `${process.pid}-${randomUUID()}`));
  const migrations = [
    ...imageStoreMigrations,
    ...referenceStoreMigrations,
    ...layerMigrations,
    ...cacheMigrations,
    ...cacheMountMigrations,
    ...historyMigrations,
    ...httpEntityMigrations,
  ];
  const open = () =>
    openDatabase(dirs.database, migrations, {
      ...(options.signal ? { signal: options.signal } : {}),
      onWait: (holder) => notices.wait(`waiting for the metadata database, which ${holder} holds`),
      isHurried: callers.haveLeft,
    });
  const opened = () => (options.replaceDamaged ? openSound(open, dirs, owner.id) : open());
  const database = await withReserve(dirs, opened);
  scope.defer(() => database.close());
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
  const lent = new Map<string, Provider>();
  const fetchBlob = createLayerFetcher({ store, registry, lent });
  const fetchLayer: FetchLayer = async (layer, options) => {
    const file = await fetchBlob(layer, options);
    await keeper.added(layer.descriptor.size);
    return file;
  };
  const layers = scope.use(
    createLayerStore({
      database,
      plane,
      dirs,
      owner: owner.id,
      bootId: boot,
      clock,
      fetch: fetchLayer,
      isStored: (blob) => fs.existsSync(store.path(blob)),
    }),
  );
  const cacheMounts = createCacheMounts({ database, layers, plane, dirs, clock });
  const imageSource = createImageSource({
    images,
    references,
    content: store,
    registry,
    onNotice: (sentence) => notices.say(sentence),
  });
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
  const unpublished = path.join(dirs.tmp, `${owner.id}-outputs`);
  scope.defer(() => {
    if (fs.existsSync(unpublished)) fs.rmSync(unpublished, { recursive: true, force: true });
  });
  const outputs = createOutputs({
    plane,
    layers,
    store,
    images,
    clock,
    dirs: { ...dirs, tmp: unpublished },
    fetchLayer,
    registry,
    cores: coreCount(),
    owner: writerOf(ownership),
  });
  const pruning: PruneEngine = {
    dirs,
    database,
    plane,
    layers,
    store,
    images,
    references,
    cacheMounts,
    gitSource,
    entities,
    clock,
    owner: owner.id,
  };
  scope.defer(async () => {
    const { superseded } = images;
    if (superseded.length > 0) await (await import("./garbage.js")).removeDocuments(pruning, superseded);
  });
  const keeper = openKeeper({
    engine: pruning,
    files: cacheConfigFiles(env, env.HOME ?? os.homedir()),
    maxUsed: options.cacheMaxSize,
    onNotice: (sentence) => notices.say(sentence),
    onExcess: (sentence) => notices.sayNow(sentence),
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
    keeper,
    stepLocks: scope.use(createStepLocks(dirs)),
    outputs,
    ...network,
    cdiDirectories: options.cdiDirectories,
    clock,
    lent,
    newId,
  };
  await withReserve(dirs, async () => {
    await sweepDeadOwners({ dirs, layers, store, owner: owner.id, clock });
    await sweepStepNetworks({ plane, searchPath });
    await forgetUnsynced({ database, plane, clock, bootId: boot });
  });
  keepReserve(dirs);
  return new OpenEngine({
    parts,
    pruning,
    scope: scope.move(),
    notices,
    callers,
    sync: () => syncSettled({ database, plane, clock, bootId: boot }),
    snapshotter: ground.snapshotter,
    ownership,
    networks,
  });
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
