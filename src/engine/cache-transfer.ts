import { type AbortOptions, digestOf, EngineError, errorCode, messageOf, Scope, unreachable } from "../base/index.js";
import { readRecords, type StoredRecord } from "../cache/index.js";
import { didYouMean } from "../frontend/index.js";
import type { OpNode } from "../llb/index.js";
import type { Descriptor, Layer } from "../oci/index.js";
import type { FileResult } from "../ops/index.js";
import type { ProgressSink } from "../progress/index.js";
import {
  bounded,
  type CacheDestination,
  type CacheExport,
  type CacheImport,
  type CacheSource,
  type CacheSpec,
  type CacheTarget,
  cacheOptions,
  createCacheExport,
  createRemoteCache,
  ghaStore,
  localSource,
  localTarget,
  type OpenedCache,
  objectSource,
  objectTarget,
  parseCacheDestination,
  parseCacheImport,
  type RemoteCache,
  registrySource,
  registryTarget,
  s3Store,
  withInlineCache,
} from "../remote-cache/index.js";
import type { LayerId, Tree } from "../snapshot/index.js";
import type { CacheManager, CacheRecord, Job } from "../solver/index.js";
import { shownAs } from "./bridge.js";
import type { BuildEngine } from "./build.js";
import { type Catalog, cacheOrigin } from "./catalog.js";
import { exporting } from "./exporting.js";
import type { LostLayers } from "./lost-layers.js";
import type { BuiltImage } from "./outputs.js";
import type { BuildRequest } from "./request.js";

/** The caches of other machines that one build reads and writes. Disposing of it ends what is under way. */
export interface CacheTransfer extends AsyncDisposable {
  /** What is looked up after LOCAL; undefined where the request names none. */
  imports(local: CacheManager<FileResult>, open: (tree: Tree) => FileResult): CacheManager<FileResult> | undefined;
  /** The layers of each output of a record that was only looked up; undefined for any other. */
  layers(record: CacheRecord): readonly (readonly Layer[])[] | undefined;
  /** A step has made RESULTS. */
  made(results: readonly FileResult[]): void;
  /** IMAGES, with what their configs are to say for whoever takes them as caches. */
  inlined(job: Job<OpNode, FileResult>, images: readonly BuiltImage[]): Promise<readonly BuiltImage[]>;
  /** Sends the caches; their manifests, in the request's order. Errors: those of the places, but where they may be ignored. */
  finish(job: Job<OpNode, FileResult>, images: readonly BuiltImage[]): Promise<readonly Descriptor[]>;
}

export interface TransferScope {
  readonly engine: BuildEngine;
  readonly request: BuildRequest;
  /** The build that layers are leased to. */
  readonly id: string;
  /** Layers that are not to be had. */
  readonly lost: LostLayers;
  /** The images of the build. */
  readonly catalog: Catalog;
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
  /** Only look at what the sources have: nothing of them is kept. */
  readonly isLookup?: boolean | undefined;
}

/** Reads what the request says of caches. Throws `invalid`, `unsupported`; no place is looked at yet. */
export function openCacheTransfer(scope: TransferScope): CacheTransfer {
  const { cacheFrom = [], cacheTo = [] } = scope.request;
  const transfer = new Transfer(scope, cacheFrom.map(parseCacheImport), cacheTo.map(parseCacheDestination));
  for (const message of [...cacheFrom, ...cacheTo].flatMap(oddities))
    scope.progress.emit({ type: "warning", vertex: undefined, warning: { message } });
  return transfer;
}

/** What of a cache's options counts for nothing. */
function oddities({ type, attrs = {} }: CacheSpec): readonly string[] {
  const known = cacheOptions(type) ?? [];
  const unknown = Object.keys(attrs).filter((name) => !known.includes(name));
  const said = unknown.map((name) => {
    const guess = didYouMean(name, known);
    return `a cache of type ${type} has no option ${JSON.stringify(name)}: it counts for nothing${guess}`;
  });
  const { mode = "min" } = attrs;
  if (type !== "inline" || mode === "min") return said;
  return [...said, `a cache of type inline is that of the image's own layers: mode=${mode} counts for nothing`];
}

type Sent = Exclude<CacheDestination, { readonly type: "inline" }>;

interface Sending {
  readonly destination: Sent;
  readonly target: CacheTarget;
  readonly work: CacheExport;
}

class Transfer implements CacheTransfer {
  readonly #parts: TransferScope;
  readonly #sources: readonly CacheSource[];
  readonly #destinations: readonly CacheDestination[];
  readonly #sendings: readonly Sending[];
  readonly #scope = new Scope();
  #imported: RemoteCache<FileResult> | undefined;

  constructor(parts: TransferScope, imports: readonly CacheImport[], destinations: readonly CacheDestination[]) {
    this.#parts = parts;
    this.#sources = imports.map((each) => bounded(sourceOf(each, parts.engine)));
    this.#destinations = destinations;
    this.#sendings = destinations.flatMap((each) => (each.type === "inline" ? [] : this.#sending(each)));
  }

  #sending(destination: Sent): Sending {
    const { engine, signal } = this.#parts;
    const { layers, outputs } = engine;
    const { store, fetchLayer, writer } = outputs;
    const target = targetOf(destination, engine);
    const { mode, form } = destination;
    const mediaTypes = "mediaTypes" in destination ? destination.mediaTypes : "oci";
    const pack = (layer: LayerId, options: AbortOptions) => writer.packLayer(layer, form, options);
    const work = createCacheExport({ target, mode, mediaTypes, layers, store, fetchLayer, pack, signal });
    return { destination, target, work: this.#scope.use(work) };
  }

  imports(local: CacheManager<FileResult>, open: (tree: Tree) => FileResult): CacheManager<FileResult> | undefined {
    if (this.#sources.length === 0) return undefined;
    const { engine, id, isLookup, lost, catalog } = this.#parts;
    this.#imported = createRemoteCache<FileResult>({
      isLookup,
      sources: this.#sources,
      local,
      layers: engine.layers,
      build: id,
      isNowhere: (layer) => lost.isNowhere(layer),
      images: () => catalog.known(),
      open,
      opening: (source, options) => this.#open(source, options),
      onWarning: (sentence) => this.#warn(sentence),
    });
    return this.#imported;
  }

  layers(record: CacheRecord): readonly (readonly Layer[])[] | undefined {
    return this.#imported?.layers(record);
  }

  async #open(source: CacheSource, options: AbortOptions): Promise<readonly OpenedCache[] | undefined> {
    const { progress, engine } = this.#parts;
    const name = `importing cache manifest from ${source.name}`;
    const vertex = { digest: digestOf(name), name, inputs: [] };
    try {
      const opened = await shownAs(vertex, { progress, clock: engine.clock }, () => source.open(options));
      if (!this.#parts.isLookup) for (const each of opened) await this.#fillMounts(each, options);
      const placed = opened.map((each) => ({ ...each, origin: this.#lend(each) }));
      return placed.filter(({ origin }) => !this.#parts.lost.has(origin));
    } catch (error) {
      if (errorCode(error) === "canceled") throw error;
      this.#warn(`failed to import the cache ${source.name}: ${messageOf(error)}${hintOf(error)}`);
      return undefined;
    }
  }

  /** Cache mounts that nothing here is called like get what the cache has of them, before a step runs that may use them. */
  async #fillMounts({ index, provider }: OpenedCache, options: AbortOptions): Promise<void> {
    if (index.mounts.length === 0) return;
    const { bringMounts } = await import("./cache-mount-transfer.js");
    const onWarning = (sentence: string) => this.#warn(sentence);
    await bringMounts(this.#parts.engine, index.mounts, provider, { ...options, onWarning });
  }

  /** The place of a cache's layers, which can be read as long as the build runs, or longer. */
  #lend({ origin, lends }: OpenedCache): string {
    const { lent } = this.#parts.engine;
    if (lends) {
      lent.set(origin, lends);
      this.#scope.defer(() => lent.get(origin) === lends && lent.delete(origin));
    }
    return cacheOrigin(origin);
  }

  made(results: readonly FileResult[]): void {
    for (const { source } of results)
      if (source.kind === "tree") for (const { work } of this.#sendings) work.made(source.tree);
  }

  async inlined(job: Job<OpNode, FileResult>, images: readonly BuiltImage[]): Promise<readonly BuiltImage[]> {
    if (!this.#destinations.some(({ type }) => type === "inline")) return images;
    const records = await this.#records(job);
    return images.map((image) => ({ ...image, config: withInlineCache(image.config, records, image.tree) }));
  }

  async finish(job: Job<OpNode, FileResult>, images: readonly BuiltImage[]): Promise<readonly Descriptor[]> {
    if (this.#sendings.length === 0) return [];
    const records = await this.#records(job);
    const trees = images.map(({ tree }) => tree);
    const sent = await Promise.all(this.#sendings.map((each) => this.#send(each, records, trees)));
    return sent.flatMap((descriptor) => descriptor ?? []);
  }

  async #records(job: Job<OpNode, FileResult>): Promise<readonly StoredRecord[]> {
    const ids = (await job.records()).map(({ id }) => id);
    return readRecords(this.#parts.engine.database, ids);
  }

  /** A failure is the build's, unless it may be ignored. */
  async #send(
    { destination, target, work }: Sending,
    records: readonly StoredRecord[],
    images: readonly Tree[],
  ): Promise<Descriptor | undefined> {
    const { progress, signal, engine } = this.#parts;
    try {
      return await exporting(target.title, { progress, signal, clock: engine.clock }, async (options) => {
        if (destination.mounts.length === 0) return work.finish(records, images, options);
        const { packMounts } = await import("./cache-mount-transfer.js");
        const onWarning = (sentence: string) => this.#warn(sentence);
        await using packed = await packMounts(engine, destination.mounts, { ...options, onWarning });
        return await work.finish(records, images, { ...options, mounts: packed.mounts });
      });
    } catch (error) {
      const code = errorCode(error);
      if (code === "canceled") throw error;
      const message = `exporting the cache to ${target.name}: ${messageOf(error)}`;
      if (!destination.ignoreError)
        throw new EngineError(code, message, {
          cause: error,
          ...(error instanceof EngineError && error.hint ? { hint: error.hint } : {}),
        });
      this.#warn(`${message}${hintOf(error)}`);
      return undefined;
    }
  }

  #warn(message: string): void {
    this.#parts.progress.emit({ type: "warning", vertex: undefined, warning: { message } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
  }
}

function hintOf(error: unknown): string {
  return error instanceof EngineError && error.hint ? ` (${error.hint})` : "";
}

function sourceOf(from: CacheImport, { outputs, web, clock, newId }: BuildEngine): CacheSource {
  switch (from.type) {
    case "registry":
      return registrySource(outputs.registry, from);
    case "local":
      return localSource(from);
    case "s3":
      return objectSource(s3Store(from.place, { client: web, clock }));
    case "gha":
      return objectSource(ghaStore(from.place, { client: web, newId }));
    default:
      return unreachable(from);
  }
}

function targetOf(to: Sent, { outputs, web, clock, newId }: BuildEngine): CacheTarget {
  switch (to.type) {
    case "registry":
      return registryTarget(outputs.registry, to);
    case "local":
      return localTarget({ ...to, clock });
    case "s3":
      return objectTarget(s3Store(to.place, { client: web, clock }));
    case "gha":
      return objectTarget(ghaStore(to.place, { client: web, newId }));
    default:
      return unreachable(to);
  }
}
