import { EngineError } from "../base/index.js";
import { parsePlatform } from "../oci/index.js";
import type { Annotation, AnnotationPlace } from "./annotations.js";
import { parseBoolean, parseInteger, withDefault } from "./attribute-values.js";
import type { MediaTypes } from "./layer-descriptor.js";
import type { Compression } from "./packing.js";

/** An --output's attributes other than type and dest, as texts. */
export type Attributes = Readonly<Record<string, string>>;

/** What every output that makes images is asked for. */
export interface CommitOutput {
  readonly compression: Compression;
  readonly level: number | undefined;
  readonly forceCompression: boolean;
  readonly mediaTypes: MediaTypes;
  readonly ociArtifact: boolean;
  readonly sourceDateEpoch: EpochOverride;
  readonly rewriteTimestamp: boolean;
  readonly annotations: readonly Annotation[];
  /** `own`: the layers that this build added become one. */
  readonly squash: "own" | undefined;
  /** What the image is called where the build names none. */
  readonly names: readonly string[];
}

/** What the attributes of `type=oci` and `type=docker` ask for. */
export interface ImageOutput extends CommitOutput {
  /** Whether an archive is written; otherwise a directory. */
  readonly tar: boolean;
  /** Whether attestations that are for images only come along. */
  readonly inlineAttestations: boolean;
}

/** What the attributes of `type=image` ask for. */
export interface StoreOutput extends CommitOutput {
  /** Whether layers have to be packed at all: they have a form that was asked for, or are sent somewhere. */
  readonly packed: boolean;
  readonly push: boolean;
  /** Pushed without a tag. */
  readonly pushByDigest: boolean;
  /** Whether the image gets its names here. */
  readonly store: boolean;
  /** Whether its layers are to be on this disk. */
  readonly unpack: boolean;
  /** Whether it also gets each name with its digest. */
  readonly nameCanonical: boolean;
  /** A name that it gets with its digest. */
  readonly dangling: { readonly prefix: string; readonly onlyWhereNameless: boolean } | undefined;
}

/** What the attributes of `type=local` and `type=tar` ask for. */
export interface TreeOutput {
  readonly sourceDateEpoch: EpochOverride;
  /** Whether each platform gets a directory; by default where there are several. */
  readonly platformSplit: boolean | undefined;
  /** What the names of attestations begin with. */
  readonly attestationPrefix: string;
  readonly existing: "keep" | "delete";
}

/** Seconds since the epoch, `none` to go without what the build fixes, or undefined to leave it to the build. */
export type EpochOverride = number | "none" | undefined;

/** Reads the attributes of an image archive. Throws `invalid`, or `unsupported` for what can't be done yet. */
export function parseImageOutput(type: "oci" | "docker", attributes: Attributes): ImageOutput {
  const { annotations, rest } = splitAnnotations(attributes);
  const known = knownOnes(rest, new Set([...COMMIT_ATTRIBUTES, "tar"]), type);
  return {
    ...parseCommit(known, annotations),
    tar: flag(known, "tar") ?? true,
    inlineAttestations: flag(known, "attestation-inline") ?? false,
  };
}

/** Reads the attributes of an image that is stored or pushed. Throws like `parseImageOutput`. */
export function parseStoreOutput(attributes: Attributes): StoreOutput {
  const { annotations, rest } = splitAnnotations(attributes);
  const known = knownOnes(rest, new Set([...COMMIT_ATTRIBUTES, ...STORE_ATTRIBUTES]), "image");
  const commit = parseCommit(known, annotations);
  const push = flag(known, "push") ?? false;
  const unpack = flag(known, "unpack") ?? false;
  if (flag(known, "registry.insecure")) throw unsupported("registry.insecure");
  if (unpack && commit.rewriteTimestamp)
    throw new EngineError("invalid", 'exporter option "rewrite-timestamp" conflicts with "unpack"');
  const prefix = known.get("dangling-name-prefix") ?? "";
  // The second spelling is BuildKit's.
  const onlyWhereNameless = flag(known, "dangling-name-empty-only") ?? flag(known, "danging-name-empty-only") ?? false;
  return {
    ...commit,
    packed: push || commit.forceCompression || commit.rewriteTimestamp || known.has("compression"),
    push,
    pushByDigest: flag(known, "push-by-digest") ?? false,
    store: flag(known, "store") ?? true,
    unpack,
    nameCanonical: flag(known, "name-canonical") ?? false,
    dangling: prefix === "" ? undefined : { prefix, onlyWhereNameless },
  };
}

/** The `annotation-PLACE[PLATFORM].KEY` among ATTRIBUTES. Throws `invalid`. */
export function parseAnnotations(attributes: Attributes): readonly Annotation[] {
  return splitAnnotations(attributes).annotations;
}

function parseCommit(known: ReadonlyMap<string, string>, annotations: readonly Annotation[]): CommitOutput {
  const compression = parseCompression(known.get("compression"));
  const ociTypes = parseBoolean("oci-mediatypes", known.get("oci-mediatypes")) ?? true;
  const ociArtifact = parseBoolean("oci-artifact", known.get("oci-artifact")) ?? ociTypes;
  if (!ociTypes && (compression === "zstd" || compression === "estargz"))
    throw new EngineError(
      "invalid",
      `exporter option "compression=${compression}" conflicts with "oci-mediatypes=false"`,
    );
  if (ociArtifact && !ociTypes)
    throw new EngineError("invalid", 'exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"');
  if (parseBoolean("prefer-nondist-layers", known.get("prefer-nondist-layers")))
    throw unsupported("prefer-nondist-layers");
  const name = known.get("name") ?? "";
  const squash = known.get("squash") ?? "";
  if (squash !== "" && squash !== "own")
    throw new EngineError(
      "invalid",
      `invalid squash ${JSON.stringify(squash)}: it is "own", for the layers of this build`,
    );
  return {
    compression,
    level: parseLevel(known.get("compression-level"), compression),
    forceCompression: flag(known, "force-compression") ?? false,
    mediaTypes: ociTypes ? "oci" : "docker",
    ociArtifact,
    sourceDateEpoch: parseEpoch(known.get("source-date-epoch")),
    rewriteTimestamp: parseBoolean("rewrite-timestamp", known.get("rewrite-timestamp")) ?? false,
    annotations,
    squash: squash === "own" ? "own" : undefined,
    // `*` stands for the names of the build.
    names: name === "" || name === "*" ? [] : name.split(",").filter((each) => each !== ""),
  };
}

/** A switch, which without a value is on. */
function flag(known: ReadonlyMap<string, string>, name: string): boolean | undefined {
  return parseBoolean(name, withDefault(known.get(name), "true"));
}

/** Reads the attributes of a directory or a plain archive of files. Throws like `parseImageOutput`. */
export function parseTreeOutput(type: "local" | "tar", attributes: Attributes): TreeOutput {
  const known = knownOnes(attributes, TREE_ATTRIBUTES, type);
  const mode = known.get("mode") || "copy";
  if (mode !== "copy" && mode !== "delete")
    throw new EngineError(
      "invalid",
      `invalid local exporter mode ${JSON.stringify(mode)}: expected "copy" or "delete"`,
    );
  return {
    sourceDateEpoch: parseEpoch(known.get("source-date-epoch")),
    platformSplit: parseBoolean("platform-split", known.get("platform-split")),
    attestationPrefix: known.get("attestation-prefix") ?? "",
    existing: mode === "delete" ? "delete" : "keep",
  };
}

const COMMIT_ATTRIBUTES = [
  "attestation-inline",
  "compression",
  "compression-level",
  "force-compression",
  "name",
  "oci-artifact",
  "oci-mediatypes",
  "prefer-nondist-layers",
  "rewrite-timestamp",
  "source-date-epoch",
  "squash",
];
const STORE_ATTRIBUTES = [
  "danging-name-empty-only",
  "dangling-name-empty-only",
  "dangling-name-prefix",
  "name-canonical",
  "push",
  "push-by-digest",
  "registry.insecure",
  "store",
  "unpack",
];
const TREE_ATTRIBUTES = new Set(["attestation-prefix", "mode", "platform-split", "source-date-epoch"]);

function knownOnes(attributes: Attributes, names: ReadonlySet<string>, type: string): ReadonlyMap<string, string> {
  const given = new Map(Object.entries(attributes));
  for (const name of given.keys()) {
    if (names.has(name)) continue;
    const all = [...names].sort().join(", ");
    throw new EngineError(
      "invalid",
      `unknown option ${JSON.stringify(name)} of the ${type} exporter: there are ${all}`,
    );
  }
  return given;
}

const GZIP_LEVEL_MAX = 9;
const ZSTD_LEVEL_MAX = 22;

function parseCompression(text = "gzip"): Compression {
  switch (text) {
    case "gzip":
    case "uncompressed":
    case "zstd":
    case "estargz":
      return text;
    default:
      throw new EngineError("invalid", `unsupported compression type ${text}`);
  }
}

function parseLevel(text: string | undefined, compression: Compression): number | undefined {
  if (text === undefined) return undefined;
  const level = parseInteger(text, (reason) => `non-integer value ${text} specified for compression-level: ${reason}`);
  const max = compression === "zstd" ? ZSTD_LEVEL_MAX : GZIP_LEVEL_MAX;
  if (level < 0 || level > max)
    throw new EngineError("invalid", `${compression}: invalid compression level: ${level}, expected 0 to ${max}`);
  return level;
}

/** The last second of the year 9999: what times in JSON can say. */
const EPOCH_MAX_SECONDS = 253_402_300_799;

function parseEpoch(text: string | undefined): EpochOverride {
  if (text === undefined) return undefined;
  if (text === "") return "none";
  const seconds = parseInteger(text, (reason) => `invalid source-date-epoch: ${reason}`);
  if (seconds < 0 || seconds > EPOCH_MAX_SECONDS)
    throw new EngineError("invalid", `invalid source-date-epoch: ${text} is no time from 1970 to 9999`);
  return seconds;
}

/** An annotation names a platform in full. */
const UNSAID = { os: "linux", architecture: "" };
const ANNOTATION = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)$/;

function splitAnnotations(attributes: Attributes): {
  readonly annotations: readonly Annotation[];
  readonly rest: Attributes;
} {
  const annotations: Annotation[] = [];
  const rest: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) {
    const [, place, platform, key] = ANNOTATION.exec(name) ?? [];
    if (key === undefined) rest[name] = value;
    else
      annotations.push({
        place: placeOf(place),
        platform: platform === undefined ? undefined : parsePlatform(platform, UNSAID),
        key,
        value,
      });
  }
  return { annotations, rest };
}

function placeOf(text = "manifest"): AnnotationPlace {
  switch (text) {
    case "index":
    case "index-descriptor":
    case "manifest":
    case "manifest-descriptor":
      return text;
    default:
      throw new EngineError("invalid", `unrecognized annotation type ${text}`);
  }
}

function unsupported(option: string): EngineError {
  return new EngineError("unsupported", `${option} is not supported yet`);
}
