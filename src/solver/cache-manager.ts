import { type AbortOptions, canonicalJson, type Digest, digestOf } from "../base/index.js";

/** A portable name of a vertex's result: made of definitions and contents only, never of a machine's own ids. */
export type CacheKey = Digest;

/** A key together with the text it is the digest of, so that it can explain itself. */
export interface ExplainedKey {
  readonly key: CacheKey;
  readonly preimage: KeyPreimage;
}

/** What a key is made of. An input counts by its key (with output and selector) or by the content selected of it. */
export type KeyPreimage =
  | { readonly v: 1; readonly op: Digest; readonly inputs: readonly InputPart[] }
  /** A result by all its contents: what a vertex counts as that ran although it was in the cache. */
  | { readonly v: 1; readonly result: Digest };

export type InputPart =
  | { readonly key: CacheKey; readonly index: number; readonly selector?: string | undefined }
  | { readonly content: Digest };

/** The one function that makes keys; a golden test pins its values. */
export function explainedKey(preimage: KeyPreimage): ExplainedKey {
  return { key: digestOf(canonicalJson(preimage)), preimage };
}

/** The place of a vertex's results in one cache. Its id is random, loads and leases, and is never hashed. */
export interface CacheRecord {
  readonly id: string;
  /** The key by content of the vertex that made it: what consumers build their own keys on. */
  readonly contentKey: CacheKey;
  /** The cache knows what the results hold, but hasn't got them: enough for consumers that are found themselves. */
  readonly isHollow?: boolean;
  /** The cache of another machine that has it, by its name, where it was only looked up: its results can't be loaded from here. */
  readonly place?: string;
}

/**
 * Keys to records. A key names any number of records, newest first. The manager is opened for one build: what it finds or saves is
 * leased to that build, and not pruned until the build ends.
 */
export interface CacheManager<R> {
  /** The newest record of KEY that is whole; leased. */
  find(key: CacheKey, options: FindOptions): Promise<CacheRecord | undefined>;
  /** The record's results; the caller disposes of them. Throws `not-found` or `data-loss` where they are gone. */
  load(record: CacheRecord, options: AbortOptions): Promise<readonly R[]>;
  /** Keeps results under all KEYS, as the newest; leased. The results stay the caller's. */
  save(entry: NewRecord<R>, options: AbortOptions): Promise<CacheRecord>;
  /** Makes KEY name RECORD too, as its newest. */
  link(key: ExplainedKey, record: CacheRecord, options: AbortOptions): Promise<void>;
  /** The digest of SELECTOR's part of output INDEX, if it has been noted. */
  content(record: CacheRecord, part: ContentPart, options: AbortOptions): Promise<Digest | undefined>;
  noteContent(record: CacheRecord, part: ContentPart, digest: Digest, options: AbortOptions): Promise<void>;
  /** Forgets a record that could not be loaded. */
  discard(record: CacheRecord, options: AbortOptions): Promise<void>;
}

export interface FindOptions extends AbortOptions {
  /** How many results the op has: a record of any other number is damaged, and not to be found. Absent: nobody can tell. */
  readonly outputs?: number | undefined;
}

export interface ContentPart {
  readonly index: number;
  readonly selector: string;
}

export interface NewRecord<R> {
  readonly keys: readonly ExplainedKey[];
  readonly contentKey: CacheKey;
  readonly results: readonly R[];
  /** For people: the vertex's name. */
  readonly description: string;
}
