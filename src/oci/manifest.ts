import * as v from "valibot";
import { EngineError, unreachable } from "../base/index.js";
import type { Descriptor } from "./descriptor.js";
import { goJson, type JsonValue, sortedMembers } from "./go-json.js";
import { digestSchema, optionalSchema, parseDocument, stringsSchema } from "./json-document.js";
import { isIndexType, isManifestType, MediaType } from "./media-types.js";
import type { Platform } from "./platform.js";

/** An image's parts (image-spec, manifest; or Docker's schema 2). */
export interface Manifest {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Several manifests, as a rule one per platform (image-spec, index; or Docker's manifest list). */
export interface Index {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Either, told apart by what the document says and holds. */
export type ManifestOrIndex =
  | { readonly kind: "manifest"; readonly manifest: Manifest }
  | { readonly kind: "index"; readonly index: Index };

/** Bytes of a manifest or an index: the limit registries and engines keep. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Layers of an image; the kernel's overlayfs ends at about 500. */
export const LAYERS_MAX = 2048;
/** Manifests of an index. */
export const INDEX_MANIFESTS_MAX = 4096;

/**
 * Reads a manifest or index that a descriptor announced as MEDIA_TYPE (undefined if nothing did). Throws `invalid` for a malformed
 * document or one that is two things at once, `unsupported` for Docker's schema 1 and other types.
 */
export function parseManifestOrIndex(bytes: Uint8Array, mediaType: string | undefined): ManifestOrIndex {
  if (bytes.length > MANIFEST_BYTES_MAX)
    throw new EngineError("invalid", `manifest of ${bytes.length} bytes, at most ${MANIFEST_BYTES_MAX} are allowed`);
  const outline = parseDocument("manifest", outlineSchema, bytes);
  if (outline.schemaVersion === 1 || outline.fsLayers !== undefined) {
    throw new EngineError(
      "unsupported",
      "Docker schema 1 manifests are not supported: push the image again with a current tool",
    );
  }
  const type =
    mediaType ?? outline.mediaType ?? (outline.manifests === undefined ? MediaType.ociManifest : MediaType.ociIndex);
  if (isManifestType(type)) {
    if (outline.manifests !== undefined || isIndexType(outline.mediaType ?? ""))
      throw ambiguous("manifest", "index", type);
    const { schemaVersion: _, ...manifest } = parseDocument("manifest", manifestSchema, bytes);
    return { kind: "manifest", manifest: withoutNulls({ ...manifest, mediaType: type }) };
  }
  if (isIndexType(type)) {
    if (outline.config !== undefined || outline.layers !== undefined || isManifestType(outline.mediaType ?? "")) {
      throw ambiguous("index", "manifest", type);
    }
    const { schemaVersion: _, ...index } = parseDocument("index", indexSchema, bytes);
    return { kind: "index", index: withoutNulls({ ...index, mediaType: type }) };
  }
  throw new EngineError("unsupported", `unexpected media type ${JSON.stringify(type)} for a manifest`);
}

/** The manifest's JSON as BuildKit writes it: two-blank indent, members in the order of the spec's Go struct. */
export function encodeManifest(manifest: Manifest): Buffer {
  return indented([
    ["schemaVersion", 2],
    ["mediaType", manifest.mediaType],
    ["artifactType", manifest.artifactType],
    ["config", descriptorJson(manifest.config)],
    ["layers", manifest.layers.map(descriptorJson)],
    ["subject", manifest.subject && descriptorJson(manifest.subject)],
    ["annotations", strings(manifest.annotations)],
  ]);
}

/** The index's JSON, written like a manifest's. */
export function encodeIndex(index: Index): Buffer {
  return indented([
    ["schemaVersion", 2],
    ["mediaType", index.mediaType],
    ["artifactType", index.artifactType],
    ["manifests", index.manifests.map(descriptorJson)],
    ["subject", index.subject && descriptorJson(index.subject)],
    ["annotations", strings(index.annotations)],
  ]);
}

/** A descriptor's JSON on one line. */
export function encodeDescriptor(descriptor: Descriptor): string {
  return goJson(descriptorJson(descriptor));
}

/** Reads what `encodeDescriptor` wrote. Throws `invalid`. */
export function parseDescriptor(text: string): Descriptor {
  return parseDocument("descriptor", descriptorSchema, Buffer.from(text));
}

/** DESCRIPTOR as a member of a document, in the order of the spec's Go struct. */
export function descriptorJson(descriptor: Descriptor): ReadonlyMap<string, JsonValue> {
  return new Map<string, JsonValue>([
    ["mediaType", descriptor.mediaType],
    ["digest", descriptor.digest],
    ["size", descriptor.size],
    ["urls", descriptor.urls?.length ? descriptor.urls : undefined],
    ["annotations", strings(descriptor.annotations)],
    ["data", descriptor.data],
    ["platform", descriptor.platform && platformJson(descriptor.platform)],
    ["artifactType", descriptor.artifactType],
  ]);
}

/** The descriptors a document points to, config first: what must be copied along with it. */
export function successors(document: ManifestOrIndex): readonly Descriptor[] {
  switch (document.kind) {
    case "manifest":
      return [document.manifest.config, ...document.manifest.layers];
    case "index":
      return document.index.manifests;
    default:
      return unreachable(document);
  }
}

const platformSchema = v.pipe(
  v.object({
    os: v.optional(v.string(), ""),
    architecture: v.optional(v.string(), ""),
    variant: optionalSchema(v.string()),
    "os.version": optionalSchema(v.string()),
    "os.features": optionalSchema(v.array(v.string())),
  }),
  v.transform(
    ({ os, architecture, variant, "os.version": osVersion, "os.features": osFeatures }): Platform => ({
      os,
      architecture,
      ...(variant ? { variant } : {}),
      ...(osVersion ? { osVersion } : {}),
      ...(osFeatures?.length ? { osFeatures } : {}),
    }),
  ),
);

const descriptorSchema = v.pipe(
  v.object({
    mediaType: v.pipe(v.string(), v.maxLength(255)),
    digest: digestSchema,
    size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    urls: optionalSchema(v.array(v.string())),
    annotations: optionalSchema(stringsSchema),
    platform: optionalSchema(platformSchema),
    artifactType: optionalSchema(v.string()),
    data: optionalSchema(v.string()),
  }),
  v.transform((descriptor): Descriptor => withoutNulls(descriptor)),
);

const outlineSchema = v.object({
  schemaVersion: v.optional(v.number()),
  mediaType: v.optional(v.string()),
  config: v.optional(v.unknown()),
  layers: v.optional(v.unknown()),
  manifests: v.optional(v.unknown()),
  fsLayers: v.optional(v.unknown()),
});

const commonEntries = {
  schemaVersion: v.literal(2),
  artifactType: optionalSchema(v.string()),
  subject: optionalSchema(descriptorSchema),
  annotations: optionalSchema(stringsSchema),
};
const manifestSchema = v.object({
  ...commonEntries,
  config: descriptorSchema,
  layers: v.pipe(v.nullish(v.array(descriptorSchema), []), v.maxLength(LAYERS_MAX)),
});
const indexSchema = v.object({
  ...commonEntries,
  manifests: v.pipe(v.nullish(v.array(descriptorSchema), []), v.maxLength(INDEX_MANIFESTS_MAX)),
});

type WithoutNulls<T> = { [K in keyof T]: Exclude<T[K], null | undefined> };

/** Go writes nothing for a nil member, but others write null: both mean that it isn't there. */
function withoutNulls<T extends object>(object: T): WithoutNulls<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, member]) => member !== null && member !== undefined),
  ) as WithoutNulls<T>;
}

function ambiguous(expected: string, found: string, type: string): EngineError {
  return new EngineError("invalid", `media-type: expected ${expected} but found ${found} (${type})`);
}

function platformJson(platform: Platform): ReadonlyMap<string, JsonValue> {
  return new Map<string, JsonValue>([
    ["architecture", platform.architecture],
    ["os", platform.os],
    ["os.version", platform.osVersion],
    ["os.features", platform.osFeatures],
    ["variant", platform.variant],
  ]);
}

function strings(record: Readonly<Record<string, string>> | undefined): JsonValue {
  return record === undefined || Object.keys(record).length === 0 ? undefined : sortedMembers(record);
}

function indented(members: readonly (readonly [string, JsonValue])[]): Buffer {
  return Buffer.from(goJson(new Map(members), "indented"));
}
