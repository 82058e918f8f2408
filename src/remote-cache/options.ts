import path from "node:path";
import { type Digest, EngineError, parseDigest } from "../base/index.js";
import { parseReference, type Reference, withDefaultTag } from "../oci/index.js";
import { flag } from "./flag.js";
import { GHA_OPTIONS, type GhaPlace, ghaPlace } from "./gha/gha-store.js";
import type { ManifestForm } from "./manifest.js";
import { S3_OPTIONS, s3Place } from "./s3/options.js";
import type { S3Place } from "./s3/s3-store.js";

/** One --cache-to or --cache-from: what kind of place it is, and all else that is said of it. */
export interface CacheSpec {
  readonly type: string;
  readonly attrs?: Readonly<Record<string, string>> | undefined;
}

/** Where a cache comes from. */
export type CacheImport =
  | { readonly type: "registry"; readonly reference: Reference; readonly insecure: boolean }
  | { readonly type: "local"; readonly directory: string; readonly tag: string; readonly digest?: Digest | undefined }
  | { readonly type: "s3"; readonly place: S3Place }
  | { readonly type: "gha"; readonly place: GhaPlace };

/** How a cache's layers are packed. */
export interface CacheForm {
  readonly compression: (typeof COMPRESSIONS)[number];
  readonly level: number | undefined;
  readonly forceCompression: boolean;
}

/** Where a cache goes, and what of it. */
export type CacheDestination =
  | (Sent & ManifestForm & { readonly type: "registry"; readonly reference: Reference; readonly insecure: boolean })
  | (Sent & ManifestForm & { readonly type: "local"; readonly directory: string; readonly tag: string })
  | (Sent & { readonly type: "s3"; readonly place: S3Place })
  | (Sent & { readonly type: "gha"; readonly place: GhaPlace })
  /** In the image's own config. */
  | { readonly type: "inline"; readonly ignoreError: boolean };

interface Sent {
  /** `min`: what the image consists of; `max`: every step. */
  readonly mode: "min" | "max";
  readonly form: CacheForm;
  /** Cache mounts that go along, by their ids. */
  readonly mounts: readonly string[];
  /** Whether the build goes on without it. */
  readonly ignoreError: boolean;
}

const COMPRESSIONS = ["gzip", "zstd", "estargz", "uncompressed"] as const;
const MODES = ["min", "max"] as const;
const EXPORTED = ["registry", "local", "inline", "s3", "gha"] as const;
const IMPORTED = ["registry", "local", "s3", "gha"] as const;
const LEVEL_MAX = 22;
const DEFAULT_TAG = "latest";
const SENT = ["mode", "mounts", "compression", "compression-level", "force-compression", "ignore-error"] as const;
const LISTED = ["oci-mediatypes", "image-manifest"] as const;

/** What may be said of a cache of each type, read or written: what only the one takes, the other takes and leaves. */
const OPTIONS: Readonly<Record<(typeof EXPORTED)[number], readonly string[]>> = {
  registry: [...SENT, ...LISTED, "ref", "registry.insecure"],
  local: [...SENT, ...LISTED, "src", "dest", "tag", "digest"],
  inline: ["mode", "ignore-error"],
  s3: [...SENT, ...LISTED, ...S3_OPTIONS],
  gha: [...SENT, ...LISTED, ...GHA_OPTIONS],
};

/** The options that a cache of TYPE has; undefined for a type that there isn't. */
export function cacheOptions(type: string): readonly string[] | undefined {
  const known = EXPORTED.find((each) => each === type);
  return known && OPTIONS[known];
}

/** Reads a --cache-from. Throws `invalid`, and `unsupported` for a type that there isn't. */
export function parseCacheImport({ type, attrs = {} }: CacheSpec): CacheImport {
  switch (typeOf(type, IMPORTED, "import from")) {
    case "registry":
      return { type: "registry", reference: referenceOf(attrs), insecure: flag(attrs, "registry.insecure", false) };
    case "local": {
      const { digest } = attrs;
      return {
        type: "local",
        directory: directoryOf(attrs, "src"),
        ...(digest ? { tag: attrs.tag ?? DEFAULT_TAG, digest: parseDigest(digest) } : { tag: tagOf(attrs) }),
      };
    }
    case "s3":
      return { type: "s3", place: s3Place(attrs) };
    case "gha":
      return { type: "gha", place: ghaPlace(attrs) };
  }
}

/** Reads a --cache-to. Throws as `parseCacheImport`. */
export function parseCacheDestination({ type, attrs = {} }: CacheSpec): CacheDestination {
  const ignoreError = flag(attrs, "ignore-error", false);
  switch (typeOf(type, EXPORTED, "export to")) {
    case "registry": {
      const place = { reference: referenceOf(attrs), insecure: flag(attrs, "registry.insecure", false) };
      return { type: "registry", ...place, ...manifestForm(attrs), ...sent(attrs), ignoreError };
    }
    case "local": {
      const place = { directory: directoryOf(attrs, "dest"), tag: tagOf(attrs) };
      return { type: "local", ...place, ...manifestForm(attrs), ...sent(attrs), ignoreError };
    }
    case "s3":
      return { type: "s3", place: s3Place(attrs), ...sent(attrs), ignoreError };
    case "gha":
      return { type: "gha", place: ghaPlace(attrs), ...sent(attrs), ignoreError };
    case "inline":
      return { type: "inline", ignoreError };
  }
}

function typeOf<T extends string>(type: string, types: readonly T[], verb: string): T {
  const known = types.find((each) => each === type);
  if (known === undefined)
    throw new EngineError(
      "unsupported",
      `there is no cache of type ${JSON.stringify(type)} to ${verb}: there are ${types.join(", ")}`,
    );
  return known;
}

function sent(attrs: Attrs): Omit<Sent, "ignoreError"> {
  const { mode = "min", compression = "gzip", "compression-level": level } = attrs;
  const number = level === undefined ? undefined : Number(level);
  if (number !== undefined && !(/^\d+$/.test(level ?? "") && number <= LEVEL_MAX))
    throw new EngineError(
      "invalid",
      `invalid compression-level ${JSON.stringify(level)}: it is a number from 0 to ${LEVEL_MAX}`,
    );
  return {
    mode: choice(mode, MODES, "mode"),
    mounts: attrs.mounts ? attrs.mounts.split(";").filter((id) => id !== "") : [],
    form: {
      compression: choice(compression, COMPRESSIONS, "compression"),
      level: number,
      forceCompression: flag(attrs, "force-compression", false),
    },
  };
}

function manifestForm(attrs: Attrs): ManifestForm {
  const oci = flag(attrs, "oci-mediatypes", true);
  const imageManifest = flag(attrs, "image-manifest", oci);
  if (imageManifest && !oci)
    throw new EngineError(
      "invalid",
      "invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format",
    );
  return { imageManifest, mediaTypes: oci ? "oci" : "docker" };
}

type Attrs = Readonly<Record<string, string>>;

function referenceOf({ ref }: Attrs): Reference {
  if (!ref) throw new EngineError("invalid", "a registry cache needs the name of its place: ref=NAME");
  return withDefaultTag(parseReference(ref));
}

function directoryOf(attrs: Attrs, name: "src" | "dest"): string {
  const directory = attrs[name];
  if (!directory) throw new EngineError("invalid", `a local cache needs a directory: ${name}=DIR`);
  return path.resolve(directory);
}

function tagOf({ tag = DEFAULT_TAG }: Attrs): string {
  if (tag === "") throw new EngineError("invalid", "a local cache needs a name in its directory: tag=NAME");
  return tag;
}

function choice<T extends string>(text: string, choices: readonly T[], name: string): T {
  const found = choices.find((each) => each === text);
  if (found === undefined)
    throw new EngineError("invalid", `invalid ${name} ${JSON.stringify(text)}: it is one of ${choices.join(", ")}`);
  return found;
}
