import { gunzipSync, gzipSync } from "node:zlib";
import { type AbortOptions, type Digest, digestOf, EngineError, hexOf } from "../base/index.js";
import { type Descriptor, type Layer, type Provider, readAll } from "../oci/index.js";
import { TREE_LAYERS_MAX } from "../snapshot/index.js";
import { type CacheKey, explainedKey } from "../solver/index.js";
import {
  type CachedMount,
  type CachePart,
  parseConfig,
  parsePart,
  type RecordEntry,
  type WireConfig,
} from "./document-schema.js";

/** The media type of a cache's config: its own scheme, of version 1. */
export const CACHE_CONFIG_TYPE = "application/vnd.ashlar.cache.config.v1+json";
/** The media type of a part of the records of a large cache. */
export const CACHE_RECORDS_TYPE = "application/vnd.ashlar.cache.records.v1+json+gzip";
/** Bytes of a config. */
export const CACHE_CONFIG_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of a part as it is kept, and as it is read. */
const PART_BYTES_MAX = 4 * 1024 * 1024;
const PART_TEXT_BYTES_MAX = 32 * 1024 * 1024;
/** So many records lie in the config itself; more are divided by their keys, about so many to a part. */
const INLINE_RECORDS_MAX = 128;
const PART_RECORDS = 128;
/** Bits of a key that choose a part. */
const PART_BITS_MAX = 8;
/** So many parts at most: a manifest lists them beside the layers. */
export const RECORD_PARTS_MAX = 2 ** PART_BITS_MAX;

/** A layer of a cached result. */
export interface CacheLayer extends Layer {
  /** When it was made, in milliseconds since the epoch: images say so. */
  readonly createdAt: number;
}

/** What a cache holds. Layers lie beside it, as those of images do. */
export interface CacheDocument {
  readonly layers: readonly CacheLayer[];
  /** Stacks of layers: what lies below (an earlier chain, or -1), and the layer on top. */
  readonly chains: CacheConfig["chains"];
  readonly records: readonly RecordEntry[];
  readonly mounts?: readonly CachedMount[] | undefined;
}

type CacheConfig = WireConfig<CachePart>;

/** A document in bytes. */
export interface EncodedCache {
  readonly config: Buffer;
  readonly parts: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[];
}

/** The bytes of a cache: equal caches are equal bytes. */
export function encodeCache({ layers, chains, records, mounts = [] }: CacheDocument): EncodedCache {
  const head = { v: 1, layers, chains, ...(mounts.length > 0 ? { mounts } : {}) } as const;
  if (records.length <= INLINE_RECORDS_MAX) return { config: json({ ...head, records }), parts: [] };
  const bits = Math.min(PART_BITS_MAX, Math.ceil(Math.log2(records.length / PART_RECORDS)));
  const divided = Array.from({ length: 2 ** bits }, (): RecordEntry[] => []);
  for (const record of records) {
    for (const part of new Set(record.keys.map((preimage) => partOf(explainedKey(preimage).key, bits))))
      divided[part]?.push(record);
  }
  const parts = divided.map((each) => {
    const bytes = gzipSync(json({ v: 1, records: each }));
    return { descriptor: { mediaType: CACHE_RECORDS_TYPE, digest: digestOf(bytes), size: bytes.length }, bytes };
  });
  const config = json({ ...head, parts: parts.map(({ descriptor: { digest, size } }) => ({ digest, size })) });
  return { config, parts: [...new Map(parts.map((part) => [part.descriptor.digest, part])).values()] };
}

/** The bytes of a cache whose layers are an image's own: in one piece. */
export function encodeInline({ chains, records }: Omit<CacheDocument, "layers">): Buffer {
  return json({ v: 1, layers: [], chains, records });
}

/** A record that was found in a cache. */
export interface FoundRecord extends Omit<RecordEntry, "results"> {
  /** The layers of each output, bottom first; undefined where the cache knows of the results, but hasn't got them. */
  readonly results: readonly (readonly CacheLayer[])[] | undefined;
}

/** A cache that is looked into. */
export interface CacheIndex {
  /** The cache mounts that go along, as blobs. */
  readonly mounts: readonly CachedMount[];
  /** The record that KEY names, if there is one. Errors: those of the provider, `invalid` for a malformed part. */
  find(key: CacheKey, options: AbortOptions): Promise<FoundRecord | undefined>;
}

/**
 * The cache whose config BYTES are; parts are read from PROVIDER when a key asks for them. Inline caches say nothing of their layers: those
 * are the image's LAYERS. Throws `invalid` for what is malformed or beyond the bounds, `unsupported` for another version.
 */
export function openCache(bytes: Uint8Array, provider: Provider, layers?: readonly CacheLayer[]): CacheIndex {
  if (bytes.length > CACHE_CONFIG_BYTES_MAX)
    throw new EngineError(
      "invalid",
      `cache config of ${bytes.length} bytes, at most ${CACHE_CONFIG_BYTES_MAX} are allowed`,
    );
  const config = parseConfig(bytes);
  const known = layers ?? config.layers;
  checkChains(config.chains, known.length);
  return new Index(config, provider, known);
}

/** Chains are made of earlier ones and of layers that there are, and stack no more of these than can be mounted. */
function checkChains(chains: CacheConfig["chains"], layers: number): void {
  const depths: number[] = [];
  for (const [at, [below, layer]] of chains.entries()) {
    if (below >= at || layer >= layers) throw new EngineError("invalid", `the cache has no layers of chain ${at}`);
    const depth = (depths[below] ?? 0) + 1;
    if (depth > TREE_LAYERS_MAX)
      throw new EngineError("invalid", `the cache has results of more than ${TREE_LAYERS_MAX} layers`);
    depths.push(depth);
  }
}

class Index implements CacheIndex {
  readonly #config: CacheConfig;
  readonly #layers: readonly CacheLayer[];
  readonly #provider: Provider;
  readonly #parts = new Map<number, Promise<ReadonlyMap<CacheKey, RecordEntry>>>();

  constructor(config: CacheConfig, provider: Provider, layers: readonly CacheLayer[]) {
    this.#config = config;
    this.#provider = provider;
    this.#layers = layers;
  }

  get mounts(): readonly CachedMount[] {
    return this.#config.mounts ?? [];
  }

  async find(key: CacheKey, options: AbortOptions): Promise<FoundRecord | undefined> {
    const { parts } = this.#config;
    const number = parts === undefined ? 0 : partOf(key, Math.log2(parts.length));
    const part = this.#parts.get(number) ?? this.#read(number, options);
    this.#parts.set(number, part);
    const record = (await part).get(key);
    return record && { ...record, results: record.results?.map((chain) => this.#stack(chain)) };
  }

  async #read(number: number, options: AbortOptions): Promise<ReadonlyMap<CacheKey, RecordEntry>> {
    const { parts, records = [] } = this.#config;
    if (parts === undefined) return byKey(records);
    const part = parts[number];
    if (part === undefined)
      throw new EngineError("internal", `a cache of ${parts.length} parts has none of number ${number}`);
    const descriptor = { ...part, mediaType: CACHE_RECORDS_TYPE };
    return byKey(parsePart(unpacked(await readAll(this.#provider, descriptor, PART_BYTES_MAX, options))));
  }

  /** The layers of a chain, bottom first. Records, which may lie elsewhere, can name chains that there aren't. */
  #stack(chain: number): readonly CacheLayer[] {
    const layers: CacheLayer[] = [];
    for (let at = chain; at >= 0; ) {
      const [below, number] = this.#config.chains[at] ?? [-1, -1];
      const layer = this.#layers[number];
      if (layer === undefined) throw new EngineError("invalid", `the cache has no layers of chain ${at}`);
      layers.push(layer);
      at = below;
    }
    return layers.reverse();
  }
}

function byKey(records: readonly RecordEntry[]): ReadonlyMap<CacheKey, RecordEntry> {
  return new Map(
    records.flatMap((record) => record.keys.map((preimage) => [explainedKey(preimage).key, record] as const)),
  );
}

function unpacked(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: PART_TEXT_BYTES_MAX });
  } catch (cause) {
    throw new EngineError("invalid", "a part of the cache can't be unpacked", { cause });
  }
}

/** Which of 2^BITS parts has the records of a key. */
function partOf(key: Digest, bits: number): number {
  return bits === 0 ? 0 : Number.parseInt(hexOf(key).slice(0, 8), 16) >>> (32 - bits);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
