import * as v from "valibot";
import type { Digest } from "../base/index.js";
import { EngineError, isDigest } from "../base/index.js";
import { checkDocument, LAYERS_MAX, layerCompression, parseJson } from "../oci/index.js";
import type { CacheKey, KeyPreimage } from "../solver/index.js";
import type { CacheLayer } from "./document.js";

/** A record as it is written. */
export interface RecordEntry {
  /** What its keys are the digests of. */
  readonly keys: readonly KeyPreimage[];
  readonly contentKey: CacheKey;
  /** The chain of each output, -1 for an empty file system. Absent: the results aren't in the cache. */
  readonly results?: readonly number[] | undefined;
  /** The digests of parts of the results: of which output, by which selector. */
  readonly contents: readonly (readonly [index: number, selector: string, digest: Digest])[];
  /** For people: the step's name. */
  readonly name: string;
}

/** Where a part of the records lies. */
export interface CachePart {
  readonly digest: Digest;
  readonly size: number;
}

/** A cache mount that goes along: a tar archive, packed with gzip. */
export interface CachedMount extends CachePart {
  readonly id: string;
}

/** A config as it is written: its records, or where they are. */
export interface WireConfig<P> {
  readonly layers: readonly CacheLayer[];
  readonly chains: readonly (readonly [below: number, layer: number])[];
  readonly records?: readonly RecordEntry[] | undefined;
  readonly parts?: readonly P[] | undefined;
  readonly mounts?: readonly CachedMount[] | undefined;
}

/** Records of one document, chains, parts. */
export const RECORDS_MAX = 20_000;
export const CHAINS_MAX = 20_000;
const PARTS_MAX = 1024;
/** Cache mounts of a document. */
export const MOUNTS_MAX = 64;
/** Keys of a record, its outputs, and what is known of their contents. */
export const KEYS_MAX = 16;
export const OUTPUTS_MAX = 256;
export const CONTENTS_MAX = 1024;
/** Inputs of a vertex. */
const INPUTS_MAX = 4096;
/** Characters of a selector, and of a step's name. */
const SELECTOR_MAX = 256 * 1024;
const NAME_MAX = 64 * 1024;
/** The end of the year 9999, after which times are written otherwise, in milliseconds since the epoch. */
const TIME_MS_MAX = 253_402_300_799_999;

const number = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const chainNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(-1));
const digest = v.custom<Digest>(
  (value) => typeof value === "string" && isDigest(value),
  "expected sha256:<64 hex digits>",
);
const selector = v.pipe(v.string(), v.maxLength(SELECTOR_MAX));

/** Strict, since a key is the digest of all that its preimage says. */
const preimage = v.union([
  v.strictObject({
    v: v.literal(1),
    op: digest,
    inputs: v.pipe(
      v.array(
        v.union([
          v.strictObject({ key: digest, index: number, selector: v.exactOptional(selector) }),
          v.strictObject({ content: digest }),
        ]),
      ),
      v.maxLength(INPUTS_MAX),
    ),
  }),
  v.strictObject({ v: v.literal(1), result: digest }),
]);

const record = v.object({
  keys: v.pipe(v.array(preimage), v.minLength(1), v.maxLength(KEYS_MAX)),
  contentKey: digest,
  results: v.optional(v.pipe(v.array(chainNumber), v.maxLength(OUTPUTS_MAX))),
  contents: v.pipe(v.array(v.tuple([number, selector, digest])), v.maxLength(CONTENTS_MAX)),
  name: v.pipe(v.string(), v.maxLength(NAME_MAX)),
});
const records = v.pipe(v.array(record), v.maxLength(RECORDS_MAX));

const layer = v.object({
  diffId: digest,
  createdAt: v.pipe(number, v.maxValue(TIME_MS_MAX)),
  descriptor: v.object({
    mediaType: v.pipe(
      v.string(),
      v.check((type) => layerCompression(type) !== undefined, "expected the type of a layer"),
    ),
    digest,
    size: number,
  }),
});

const mount = v.object({ id: v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_MAX)), digest, size: number });

const config = v.object({
  mounts: v.optional(v.pipe(v.array(mount), v.maxLength(MOUNTS_MAX))),
  layers: v.pipe(v.array(layer), v.maxLength(LAYERS_MAX)),
  chains: v.pipe(v.array(v.tuple([chainNumber, number])), v.maxLength(CHAINS_MAX)),
  records: v.optional(records),
  parts: v.optional(
    v.pipe(
      v.array(v.object({ digest, size: number })),
      v.maxLength(PARTS_MAX),
      v.check(({ length }) => length > 0 && Number.isInteger(Math.log2(length)), "expected a power of two"),
    ),
  ),
});

/** Reads a config. Throws `invalid`, `unsupported` for another version. */
export function parseConfig(bytes: Uint8Array): WireConfig<CachePart> {
  return checkDocument("cache config", config, versioned("cache config", bytes));
}

/** Reads the records of a part. Throws as `parseConfig`. */
export function parsePart(bytes: Uint8Array): readonly RecordEntry[] {
  const json = versioned("part of the cache", bytes);
  return checkDocument("part of the cache", v.object({ records }), json).records;
}

/** The JSON of a document whose version is one that can be read. */
function versioned(what: string, bytes: Uint8Array): unknown {
  const json = parseJson(what, bytes);
  const { v: version } = checkDocument(what, v.object({ v: v.number() }), json);
  if (version !== 1) throw new EngineError("unsupported", `a cache of version ${version}: this is one for version 1`);
  return json;
}
