import { createHash } from "node:crypto";
import { pipeline, Readable, type Transform } from "node:stream";
import { createGunzip, createGzip } from "node:zlib";
import { type AbortOptions, digestFromHex, EngineError } from "../base/index.js";
import { type Bytes, type Layer, layerCompression } from "../oci/index.js";
import type { ContentStore } from "../store/index.js";

/** How a layer's archive is packed. */
export type BlobCompression = { readonly kind: "none" } | { readonly kind: "gzip"; readonly level: number };

/**
 * Packs an image's layer, whose blob is in STORE, anew; its archive, and so its diffId, stays. Errors: `unsupported` for what it can't
 * unpack, `data-loss` if the archive is not the one that the image names.
 */
export async function convertBlob(
  layer: Layer,
  to: { readonly compression: BlobCompression; readonly mediaType: string },
  store: ContentStore,
  { signal }: AbortOptions,
): Promise<Layer> {
  const archive = checkedArchive(unpacked(layer, store.read(layer.descriptor, { signal })), layer);
  const { compression, mediaType } = to;
  const content = compression.kind === "gzip" ? through(archive, createGzip({ level: compression.level })) : archive;
  return { descriptor: await store.ingest(content, { mediaType }, { signal }), diffId: layer.diffId };
}

function unpacked({ descriptor }: Layer, content: Bytes): Bytes {
  const compression = layerCompression(descriptor.mediaType);
  if (compression === "none") return content;
  if (compression === "gzip") return through(content, createGunzip());
  const sentence = `force-compression=true is not supported yet for layers of type ${descriptor.mediaType}`;
  throw new EngineError("unsupported", sentence);
}

async function* checkedArchive(archive: Bytes, { descriptor, diffId }: Layer): Bytes {
  const hash = createHash("sha256");
  for await (const chunk of archive) {
    hash.update(chunk);
    yield chunk;
  }
  const actual = digestFromHex(hash.digest("hex"));
  if (actual !== diffId)
    throw new EngineError("data-loss", `${descriptor.digest} holds the archive ${actual}, expected ${diffId}`);
}

/** CONTENT through TRANSFORM. Whoever reads it gets the errors of both. */
function through(content: Bytes, transform: Transform): Bytes {
  return pipeline(Readable.from(content), transform, () => undefined);
}
