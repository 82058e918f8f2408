import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { type AbortOptions, type Digest, digestFromHex, digestOf, EngineError, forAll } from "../base/index.js";
import {
  type Bytes,
  convertSchema1,
  type Descriptor,
  type Layer,
  MediaType,
  type ReadOptions,
  type Schema1Image,
} from "../oci/index.js";
import type { Repository } from "../registry/index.js";
import type { ContentStore } from "../store/index.js";

/** What is read from a registry, and where it is kept. */
export interface Schema1Target {
  readonly repository: Repository;
  readonly content: ContentStore;
}

/**
 * Brings an image in the form of Docker's schema 1 here, whose layers must be read for what that form doesn't say, and gives its manifest
 * in today's form. Errors: those of the registry and the store, `invalid` for layers that are no archives.
 */
export async function adoptSchema1(
  image: Schema1Image,
  target: Schema1Target,
  options: AbortOptions,
): Promise<Descriptor> {
  const blobs = image.layers.filter(({ isEmpty }) => !isEmpty).map(({ blob }) => blob);
  const found = await forAll([...new Set(blobs)], (blob, signal) => adoptLayer(blob, target, { signal }), options);
  const byBlob = new Map(found.map((layer) => [layer.descriptor.digest, layer]));
  const { config, manifest } = convertSchema1(
    image,
    blobs.flatMap((blob) => byBlob.get(blob) ?? []),
  );
  await target.content.ingest(once(config), { mediaType: MediaType.dockerConfig }, options);
  await target.content.ingest(once(manifest), { mediaType: MediaType.dockerManifest }, options);
  return { mediaType: MediaType.dockerManifest, digest: digestOf(manifest), size: manifest.length };
}

/** Bytes of an unpacked layer. */
const LAYER_BYTES_MAX = 256 * 1024 ** 3;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

async function adoptLayer(blob: Digest, target: Schema1Target, options: AbortOptions): Promise<Layer> {
  const { repository, content } = target;
  const size = await repository.sizeOf(blob, options);
  const described: Descriptor = { mediaType: MediaType.dockerLayerGzip, digest: blob, size };
  await content.ensure(described, repository, options);
  if (!(await isGzip(content, described, options)))
    return { descriptor: { ...described, mediaType: MediaType.dockerLayer }, diffId: blob };
  return { descriptor: described, diffId: await unpackedDigest(content, described, options) };
}

async function isGzip(content: ContentStore, blob: Descriptor, options: ReadOptions): Promise<boolean> {
  for await (const chunk of content.read(blob, options)) return GZIP_MAGIC.equals(chunk.subarray(0, 2));
  return false;
}

async function unpackedDigest(content: ContentStore, blob: Descriptor, { signal }: AbortOptions): Promise<Digest> {
  const hash = createHash("sha256");
  let size = 0;
  const hashed = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > LAYER_BYTES_MAX)
        throw new EngineError("invalid", `layer ${blob.digest} is larger than ${LAYER_BYTES_MAX} bytes`);
      hash.update(chunk);
    }
  };
  try {
    const abort = signal ? { signal } : {};
    await pipeline(content.read(blob, abort), createGunzip(), hashed, abort);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "Z_DATA_ERROR") throw cause;
    throw new EngineError("invalid", `layer ${blob.digest} is no gzip stream`, { cause });
  }
  return digestFromHex(hash.digest("hex"));
}

async function* once(bytes: Uint8Array): Bytes {
  yield bytes;
}
