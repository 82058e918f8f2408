import { type AbortOptions, EngineError, errorCode, lazy, messageOf } from "../base/index.js";
import type { TreeResult } from "../cache/index.js";
import type { ImageLayer, KnownLayer, LayerStore, Tree } from "../snapshot/index.js";
import {
  type CacheKey,
  type CacheManager,
  type CacheRecord,
  type ExplainedKey,
  explainedKey,
  type FindOptions,
} from "../solver/index.js";
import type { CacheLayer, FoundRecord } from "./document.js";
import type { CacheSource, OpenedCache } from "./place.js";

export interface RemoteCacheOptions<R> {
  readonly sources: readonly CacheSource[];
  /** What is found is kept here: a later build finds it without asking anybody. */
  readonly local: CacheManager<R>;
  readonly layers: LayerStore;
  /** The build that layers are leased to. */
  readonly build: string;
  /** Whether a layer is known not to be had from where it was seen. */
  readonly isNowhere: (layer: KnownLayer) => Promise<boolean>;
  /** The layers of images that the build has to do with: what is theirs, too, need not come from a cache. */
  readonly images: () => readonly (readonly ImageLayer[])[];
  /** A result for a tree. */
  readonly open: (tree: Tree) => R;
  /** Opens a source, and shows that; undefined where it can't be opened, which it has told. */
  readonly opening: (source: CacheSource, options: AbortOptions) => Promise<readonly OpenedCache[] | undefined>;
  /** Told what went wrong with a cache that is not used any more. */
  readonly onWarning: (sentence: string) => void;
  /** Only tell what the caches have: nothing is kept, and no result can be loaded. */
  readonly isLookup?: boolean | undefined;
}

/** Several caches of other machines. */
export interface RemoteCache<R> extends CacheManager<R> {
  /** The layers of each output of a record that was only looked up (`CacheRecord.place`), bottom first; undefined for any other record. */
  layers(record: CacheRecord): readonly (readonly CacheLayer[])[] | undefined;
}

/**
 * Caches of other machines, as one. None is looked at before the first key is asked for; then all are opened at once. No layer is fetched
 * for a find: layers become known, and whoever needs their files has them pulled.
 */
export function createRemoteCache<R extends TreeResult>(options: RemoteCacheOptions<R>): RemoteCache<R> {
  return new OpenedCaches(options);
}

/** What a cache knows of results that it hasn't got. Its record is no local one. */
interface Known {
  readonly record: CacheRecord;
  readonly found: FoundRecord;
}

interface Place {
  readonly source: CacheSource;
  readonly opened: OpenedCache;
}

class OpenedCaches<R extends TreeResult> implements RemoteCache<R> {
  readonly #options: RemoteCacheOptions<R>;
  readonly #local: CacheManager<R>;
  /** By the keys of records. */
  readonly #kept = new Map<CacheKey, Promise<CacheRecord | undefined>>();
  readonly #known = new Map<string, Known>();
  readonly #refused = new Set<OpenedCache>();
  #nextId = 0;

  constructor(options: RemoteCacheOptions<R>) {
    this.#options = options;
    this.#local = options.local;
  }

  async find(key: CacheKey, options: FindOptions): Promise<CacheRecord | undefined> {
    let known: FoundRecord | undefined;
    for (const place of await this.#places(options)) {
      const found = await this.#lookUp(place, key, options);
      if (!found) continue;
      if (found.results && this.#options.isLookup) return this.#remember(found, place);
      const record = found.results && (await this.#keep(found, place, options));
      if (record) return record;
      known ??= found;
    }
    return known && this.#remember(known);
  }

  readonly #open = lazy(async (): Promise<readonly Place[]> => {
    const { sources, opening } = this.#options;
    const opened = await Promise.all(sources.map((source) => opening(source, this.#opening)));
    return sources.flatMap((source, i) => (opened[i] ?? []).map((each) => ({ source, opened: each })));
  });
  #opening: AbortOptions = {};

  async #places(options: AbortOptions): Promise<readonly Place[]> {
    this.#opening = options; // all finds of a build are stopped by the same signal
    return (await this.#open()).filter(({ opened }) => !this.#refused.has(opened));
  }

  /** What PLACE has of KEY. A cache that is broken is left alone from then on. */
  async #lookUp(place: Place, key: CacheKey, options: FindOptions): Promise<FoundRecord | undefined> {
    const { source, opened } = place;
    try {
      const found = await opened.index.find(key, options);
      if (found) checkRecord(found, options);
      if (!found?.results) return found;
      for (const stack of found.results)
        if (await this.#isLost(stack, opened, options)) return { ...found, results: undefined };
      return found;
    } catch (error) {
      if (errorCode(error) === "canceled") throw error;
      if (!this.#refused.has(opened))
        this.#options.onWarning(`the cache ${source.name} is not used any more: ${messageOf(error)}`);
      this.#refused.add(opened);
      return undefined;
    }
  }

  /** Whether STACK has a layer that the cache has lost, and nobody else is known to have. */
  async #isLost(stack: readonly CacheLayer[], opened: OpenedCache, options: AbortOptions): Promise<boolean> {
    const { origin } = opened;
    const isMissing = async (layer: CacheLayer) =>
      (await this.#options.isNowhere({ ...layer, origins: [origin] })) ||
      !(await this.#isThere(layer, opened, options));
    const missing = await Promise.all(stack.map(isMissing));
    if (!missing.includes(true)) return false;
    const known = this.#options.layers.known(stack);
    const ofImage = this.#ofImages(stack);
    for (const [i, isGone] of missing.entries()) {
      if (!isGone || ofImage[i] || known[i]?.state === "ready") continue;
      const image = known[i]?.image;
      const elsewhere = image && { ...image, origins: image.origins.filter((each) => each !== origin) };
      if (!elsewhere || (await this.#options.isNowhere(elsewhere))) return true;
    }
    return false;
  }

  readonly #present = new Map<string, Promise<boolean>>();
  #isThere({ descriptor }: CacheLayer, { origin, has }: OpenedCache, options: AbortOptions): Promise<boolean> {
    const id = `${descriptor.digest} ${origin}`;
    const asked = this.#present.get(id) ?? has?.(descriptor, options) ?? Promise.resolve(true);
    this.#present.set(id, asked);
    return asked;
  }

  /** The layers at the bottom of STACK that an image has, too, as many as one has. */
  #ofImages(stack: readonly CacheLayer[]): readonly ImageLayer[] {
    let longest: readonly ImageLayer[] = [];
    for (const image of this.#options.images()) {
      const differs = image.findIndex(({ diffId }, i) => diffId !== stack[i]?.diffId);
      const length = differs < 0 ? image.length : differs;
      if (length > longest.length)
        longest = image.slice(0, length).map((layer, i) => ({ ...layer, createdAt: stack[i]?.createdAt }));
    }
    return longest;
  }

  /** The record FOUND in the local cache, once however many of its keys are asked for. */
  #keep(found: FoundRecord, place: Place, options: FindOptions): Promise<CacheRecord | undefined> {
    const keys = found.keys.map(explainedKey);
    const kept = keys.map(({ key }) => this.#kept.get(key)).find((each) => each !== undefined);
    const record = kept ?? this.#import({ ...found, keys }, place, options);
    for (const { key } of keys) this.#kept.set(key, record);
    return record;
  }

  async #import(
    found: Omit<FoundRecord, "keys"> & { readonly keys: readonly ExplainedKey[] },
    { opened: { origin } }: Place,
    options: FindOptions,
  ): Promise<CacheRecord | undefined> {
    const { layers, build, open } = this.#options;
    const local = await this.#localOf(found.keys, options);
    if (local) return local;
    const results: R[] = [];
    for (const stack of found.results ?? []) {
      const ofImage = this.#ofImages(stack);
      if (ofImage.length > 0) await layers.adopt(ofImage, build);
      const tree = await layers.adopt(
        stack.map((layer) => ({ ...layer, origin })),
        build,
      );
      results.push(open(tree));
    }
    const { keys, contentKey, name: description } = found;
    const record = await this.#local.save({ keys, contentKey, results, description }, options);
    for (const [index, selector, digest] of found.contents)
      if (index < results.length) await this.#local.noteContent(record, { index, selector }, digest, options);
    return record;
  }

  /** A record of this machine that has one of KEYS; it gets the others. */
  async #localOf(keys: readonly ExplainedKey[], options: FindOptions): Promise<CacheRecord | undefined> {
    for (const { key } of keys) {
      const record = await this.#local.find(key, options);
      if (!record) continue;
      for (const other of keys) if (other.key !== key) await this.#local.link(other, record, options);
      return record;
    }
    return undefined;
  }

  /** A record of what is only known. PLACE: the cache that has the results, and would give them if they were asked for. */
  #remember(found: FoundRecord, place?: Place): CacheRecord {
    const id = `known-${this.#nextId++}`;
    const { contentKey } = found;
    const record = place ? { id, contentKey, place: place.source.name } : { id, contentKey, isHollow: true };
    this.#known.set(id, { record, found });
    return record;
  }

  layers(record: CacheRecord): readonly (readonly CacheLayer[])[] | undefined {
    return this.#known.get(record.id)?.found.results;
  }

  async load(record: CacheRecord, options: AbortOptions): Promise<readonly R[]> {
    if (this.#known.has(record.id)) throw new EngineError("not-found", "the cache has no layers of this step");
    return this.#local.load(record, options);
  }

  save(...args: Parameters<CacheManager<R>["save"]>): Promise<CacheRecord> {
    return this.#local.save(...args);
  }

  async link(key: ExplainedKey, record: CacheRecord, options: AbortOptions): Promise<void> {
    if (!this.#known.has(record.id)) await this.#local.link(key, record, options);
  }

  async content(...[record, part, options]: Parameters<CacheManager<R>["content"]>) {
    const known = this.#known.get(record.id);
    if (!known) return this.#local.content(record, part, options);
    return known.found.contents.find(([index, selector]) => index === part.index && selector === part.selector)?.[2];
  }

  async noteContent(...[record, part, digest, options]: Parameters<CacheManager<R>["noteContent"]>): Promise<void> {
    if (!this.#known.has(record.id)) await this.#local.noteContent(record, part, digest, options);
  }

  async discard(record: CacheRecord, options: AbortOptions): Promise<void> {
    if (!this.#known.delete(record.id)) await this.#local.discard(record, options);
  }
}

/** Throws `invalid` for a record that can't be of the step that is looked for. Its results are believed, as far as they fit together. */
function checkRecord({ keys, contentKey, results, contents }: FoundRecord, { outputs }: FindOptions): void {
  if (!keys.some((preimage) => explainedKey(preimage).key === contentKey))
    throw new EngineError("invalid", "a record is not named by its own key");
  if (outputs === undefined) return;
  if (results !== undefined && results.length !== outputs)
    throw new EngineError("invalid", `a record has ${results.length} results, the step ${outputs}`);
  if (contents.some(([index]) => index >= outputs))
    throw new EngineError("invalid", `a record tells of results that a step with ${outputs} hasn't got`);
}
