import * as v from "valibot";
import { type Digest, digestOf, EngineError } from "../base/index.js";
import type { Descriptor, Layer } from "./descriptor.js";
import { goJson, type JsonValue } from "./go-json.js";
import { digestSchema, optionalSchema, parseDocument } from "./json-document.js";
import { encodeManifest, LAYERS_MAX, MANIFEST_BYTES_MAX } from "./manifest.js";
import { MediaType } from "./media-types.js";

/** An image as registries had it before 2016 (distribution, image manifest version 2, schema 1), signed or not. */
export interface Schema1Image {
  /** What pulls by digest name: that of the document without its signatures. */
  readonly digest: Digest;
  readonly architecture: string;
  /** Bottom first. */
  readonly layers: readonly Schema1Layer[];
}

/** A layer, and what the image was when it was on top. */
export interface Schema1Layer {
  readonly blob: Digest;
  /** It changed no files: there is nothing to fetch. */
  readonly isEmpty: boolean;
  readonly compatibility: Readonly<Record<string, unknown>>;
}

/** Whether BYTES are such a document; what they are otherwise is not looked at. */
export function isSchema1(bytes: Uint8Array): boolean {
  try {
    const outline: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof outline === "object" && outline !== null && "schemaVersion" in outline && outline.schemaVersion === 1;
  } catch {
    return false;
  }
}

/** Reads such a document. Signatures are no proof of anything and not checked, as nobody ever did. Throws `invalid`. */
export function parseSchema1(bytes: Uint8Array): Schema1Image {
  if (bytes.length > MANIFEST_BYTES_MAX)
    throw new EngineError("invalid", `manifest of ${bytes.length} bytes, at most ${MANIFEST_BYTES_MAX} are allowed`);
  const document = parseDocument("schema 1 manifest", manifestSchema, bytes);
  const { fsLayers, history } = document;
  if (fsLayers.length === 0 || fsLayers.length !== history.length)
    throw new EngineError(
      "invalid",
      `the schema 1 manifest has ${fsLayers.length} layers, and a history of ${history.length}`,
    );
  const layers = fsLayers.map(({ blobSum }, position): Schema1Layer => {
    const text = history[position]?.v1Compatibility ?? "";
    const compatibility = parseDocument("schema 1 history", v.looseObject({}), Buffer.from(text));
    return { blob: blobSum, isEmpty: isEmptyLayer(blobSum, compatibility), compatibility };
  });
  return {
    digest: digestOf(payloadOf(bytes, document.signatures ?? [])),
    architecture: document.architecture ?? "",
    layers: withoutRepeats(layers).reverse(),
  };
}

/**
 * The image in today's form, made as docker made it: the top layer's words are the config, each layer's a line of the history. LAYERS are
 * those that are not empty, bottom first. The digests are the same on every machine.
 */
export function convertSchema1(
  { architecture, layers: all }: Schema1Image,
  layers: readonly Layer[],
): { readonly config: Buffer; readonly manifest: Buffer } {
  const top = all.at(-1)?.compatibility ?? {};
  const kept = Object.entries(top).filter(([name]) => !OLD_MEMBERS.has(name));
  const members = new Map<string, JsonValue>([
    ...kept.map(([name, value]) => [name, inOrder(value)] as const),
    ["architecture", textOf(top.architecture) ?? (architecture || "amd64")],
    ["os", textOf(top.os) ?? "linux"],
    [
      "rootfs",
      new Map<string, JsonValue>([
        ["type", "layers"],
        ["diff_ids", layers.map(({ diffId }) => diffId)],
      ]),
    ],
    ["history", all.map(historyOf)],
  ]);
  // As docker wrote it, on which its image's id depends: the outer members sorted, the inner ones as they came.
  const config = Buffer.from(goJson(new Map([...members].sort(([a], [b]) => (a < b ? -1 : 1)))));
  const manifest = encodeManifest({
    mediaType: MediaType.dockerManifest,
    config: { mediaType: MediaType.dockerConfig, digest: digestOf(config), size: config.length },
    layers: layers.map(({ descriptor }): Descriptor => descriptor),
  });
  return { config, manifest };
}

/** A packed tar archive without files: what builders of that time sent for steps like ENV. */
const EMPTY_LAYER: string = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
/** What concerned the layers of that time. */
const OLD_MEMBERS: ReadonlySet<string> = new Set([
  "Size",
  "history",
  "id",
  "layer_id",
  "parent",
  "parent_id",
  "rootfs",
  "throwaway",
]);

const manifestSchema = v.object({
  schemaVersion: v.literal(1),
  architecture: optionalSchema(v.string()),
  fsLayers: v.pipe(v.array(v.object({ blobSum: digestSchema })), v.maxLength(LAYERS_MAX)),
  history: v.pipe(v.array(v.object({ v1Compatibility: v.string() })), v.maxLength(LAYERS_MAX)),
  signatures: optionalSchema(v.array(v.object({ protected: v.string() }))),
});

function isEmptyLayer(blob: Digest, { throwaway, Size }: Readonly<Record<string, unknown>>): boolean {
  if (typeof throwaway === "boolean") return throwaway;
  return Size === 0 || blob === EMPTY_LAYER;
}

/** Some registries listed a layer twice in a row. */
function withoutRepeats(layers: readonly Schema1Layer[]): Schema1Layer[] {
  return layers.filter(({ compatibility }, position) => {
    const { id } = compatibility;
    return id === undefined || layers[position - 1]?.compatibility.id !== id;
  });
}

/** The bytes that were signed: the document up to where the signatures were put in, and its end. */
function payloadOf(bytes: Uint8Array, [signature]: readonly { readonly protected: string }[]): Uint8Array {
  if (signature === undefined) return bytes;
  const header = Buffer.from(signature.protected, "base64url");
  const { formatLength, formatTail } = parseDocument("signature of the schema 1 manifest", headerSchema, header);
  return Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, "base64url")]);
}

const headerSchema = v.object({
  formatLength: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  formatTail: v.string(),
});

function historyOf({ isEmpty, compatibility }: Schema1Layer): ReadonlyMap<string, JsonValue> {
  const { created, author, comment, container_config: container } = compatibility;
  const words = (container as { Cmd?: unknown } | null | undefined)?.Cmd;
  return new Map<string, JsonValue>([
    ["created", textOf(created)],
    ["author", textOf(author)],
    ["created_by", Array.isArray(words) && words.length > 0 ? words.map(String).join(" ") : undefined],
    ["comment", textOf(comment)],
    ["empty_layer", isEmpty || undefined],
  ]);
}

/** Parsed JSON whose members keep their order. */
function inOrder(value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value as JsonValue;
  return new Map(Object.entries(value).map(([name, member]) => [name, inOrder(member)] as const));
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
