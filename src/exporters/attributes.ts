import { EngineError } from "../base/index.js";
import { parsePlatform } from "../oci/index.js";
import type { Annotation, AnnotationPlace } from "./annotations.js";
import { parseBoolean, parseInteger, withDefault } from "./attribute-values.js";
import type { MediaTypes } from "./layer-descriptor.js";

/** An --output's attributes other than type and dest, as texts. */
export type Attributes = Readonly<Record<string, string>>;

/** What the attributes of `type=oci` and `type=docker` ask for. */
export interface ImageOutput {
  readonly compression: "gzip" | "uncompressed";
  readonly level: number | undefined;
  readonly forceCompression: boolean;
  readonly mediaTypes: MediaTypes;
  readonly sourceDateEpoch: EpochOverride;
  readonly rewriteTimestamp: boolean;
  readonly annotations: readonly Annotation[];
  /** Whether an archive is written; otherwise a directory. */
  readonly tar: boolean;
  /** What the image is called where the build names none. */
  readonly names: readonly string[];
}

/** What the attributes of `type=local` and `type=tar` ask for. */
export interface TreeOutput {
  readonly sourceDateEpoch: EpochOverride;
  /** Whether each platform gets a directory; by default where there are several. */
  readonly platformSplit: boolean | undefined;
  readonly existing: "keep" | "delete";
}

/** Seconds since the epoch, `none` to go without what the build fixes, or undefined to leave it to the build. */
export type EpochOverride = number | "none" | undefined;

/** Reads the attributes of an image archive. Throws `invalid`, or `unsupported` for what can't be done yet. */
export function parseImageOutput(type: "oci" | "docker", attributes: Attributes): ImageOutput {
  const { annotations, rest } = splitAnnotations(attributes);
  const known = knownOnes(rest, IMAGE_ATTRIBUTES, type);
  const compression = parseCompression(known.get("compression"));
  const force = known.get("force-compression");
  const ociTypes = parseBoolean("oci-mediatypes", known.get("oci-mediatypes")) ?? true;
  const artifact = parseBoolean("oci-artifact", known.get("oci-artifact")) ?? ociTypes;
  // There are no attestations that these could be about, but a mistake is a mistake.
  parseBoolean("attestation-inline", known.get("attestation-inline"));
  if (artifact && !ociTypes)
    throw new EngineError("invalid", 'exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"');
  if (parseBoolean("prefer-nondist-layers", known.get("prefer-nondist-layers")))
    throw unsupported("prefer-nondist-layers");
  const name = known.get("name") ?? "";
  return {
    compression,
    level: parseLevel(known.get("compression-level")),
    forceCompression: parseBoolean("force-compression", withDefault(force, "true")) ?? false,
    mediaTypes: ociTypes ? "oci" : "docker",
    sourceDateEpoch: parseEpoch(known.get("source-date-epoch")),
    rewriteTimestamp: parseBoolean("rewrite-timestamp", known.get("rewrite-timestamp")) ?? false,
    annotations,
    tar: parseBoolean("tar", withDefault(known.get("tar"), "true")) ?? true,
    names: name === "" ? [] : name.split(","),
  };
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
    existing: mode === "delete" ? "delete" : "keep",
  };
}

const IMAGE_ATTRIBUTES = new Set([
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
  "tar",
]);
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

function parseCompression(text = "gzip"): "gzip" | "uncompressed" {
  switch (text) {
    case "gzip":
    case "uncompressed":
      return text;
    case "zstd":
    case "estargz":
      throw unsupported(`compression=${text}`);
    default:
      throw new EngineError("invalid", `unsupported compression type ${text}`);
  }
}

function parseLevel(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const level = parseInteger(text, (reason) => `non-integer value ${text} specified for compression-level: ${reason}`);
  if (level < 0 || level > GZIP_LEVEL_MAX)
    throw new EngineError("invalid", `gzip: invalid compression level: ${level}, expected 0 to ${GZIP_LEVEL_MAX}`);
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
