import { type AbortOptions, digestOf, EngineError } from "../base/index.js";
import type { ExportOptions } from "../exporters/index.js";
import {
  type Descriptor,
  encodeIndex,
  encodeManifest,
  familiarReference,
  isManifestType,
  MediaType,
  parseReference,
  type Reference,
  readManifestOrIndex,
  repositoryName,
  withDefaultTag,
} from "../oci/index.js";
import { pushImage, type Registry } from "../registry/index.js";
import {
  type Documents,
  type ImageStore,
  type PlatformImage,
  type StoredEntry,
  storedDocumentsIn,
} from "../store/index.js";
import { originReference } from "./catalog.js";
import { progressOf } from "./image-output.js";
import type { PushedImage } from "./image-requests.js";
import { namingImage, type StoredDocuments, type StoredManifest, storedDocuments } from "./stored-image.js";
import { bringLayers, type LayerBringing, layerIds } from "./stored-layers.js";

/** What stored images are pushed with. */
export interface PushEngine extends LayerBringing {
  readonly newId: () => string;
  readonly images: ImageStore;
  readonly registry: Registry;
}

/** An image to push. */
export interface PushRequest extends ExportOptions {
  readonly name: string;
  readonly allTags?: boolean | undefined;
  readonly platform?: string | undefined;
}

/**
 * Sends an image to the repository of its name, or all that have names there. Layers that only exist as files or as plain archives of
 * docker's are packed before; the name then stands for the manifest that says so. Errors: `not-found`, `invalid`, those of `pushImage`.
 */
export async function pushStoredImages(engine: PushEngine, request: PushRequest): Promise<readonly PushedImage[]> {
  const { name: _, allTags: __, platform, ...options } = request;
  const entries = imagesToPush(engine.images, request);
  const pushed: PushedImage[] = [];
  for (const entry of entries) {
    const root = await pushEntry(engine, { entry, platform }, options);
    pushed.push({ name: entry.name, digest: root.digest, sizeBytes: root.size });
  }
  return pushed;
}

type NamedEntry = StoredEntry & { readonly name: string };

/** The images that a push of NAME is about. Throws `not-found`, `invalid`. */
export function imagesToPush(
  images: ImageStore,
  { name, allTags = false }: Pick<PushRequest, "name" | "allTags">,
): readonly NamedEntry[] {
  const reference = parseReference(name);
  const repository = repositoryName(reference);
  if (reference.digest !== undefined) throw new EngineError("invalid", "cannot push a digest reference");
  if (allTags) {
    if (reference.tag !== undefined) throw new EngineError("invalid", "tag can't be used with --all-tags/-a");
    const all = images.list().flatMap((entry) => {
      const isThere = entry.name !== undefined && repositoryName(parseReference(entry.name)) === repository;
      return isThere && !entry.name.includes("@") ? [{ ...entry, name: entry.name }] : [];
    });
    if (all.length > 0) return all;
    throw new EngineError("not-found", `An image does not exist locally with the tag: ${familiarReference(reference)}`);
  }
  const entry = images.get(name);
  if (entry) return [entry];
  throw new EngineError("not-found", `An image does not exist locally with the tag: ${familiarReference(reference)}`);
}

async function pushEntry(
  engine: PushEngine,
  { entry, platform }: { readonly entry: NamedEntry; readonly platform: string | undefined },
  options: ExportOptions,
): Promise<Descriptor> {
  const { store, registry, images } = engine;
  const chosen = platform === undefined ? [] : [platform];
  const stored = await namingImage(entry, () => storedDocuments(store, entry, chosen));
  await using _ = await namingImage(entry, () => leased(engine, stored.images));
  const { root, platforms } = await namingImage(entry, async () => {
    const whole = await packed(engine, stored, options);
    for (const { layers } of stored.images) if (whole.root === stored.root) await bringLayers(engine, layers, options);
    return whole;
  });
  const reference = withDefaultTag(parseReference(entry.name));
  const tags = reference.tag === undefined ? [] : [reference.tag];
  const origins = originsOf(engine, stored.images);
  const repository = registry.repository(reference);
  const onProgress = progressOf(repositoryName(reference), options);
  await pushImage(repository, root, stored.documents, { tags, origins, onProgress, ...abortOf(options) });
  // Other tools will know it by this digest; so should we.
  if (stored.isWhole && root !== stored.root && platforms.length > 0)
    await images.put({ name: entry.name, target: root, platforms }, abortOf(options));
  return root;
}

/** Sees to it that the layers of IMAGES have numbers, and stay until the result is disposed of. */
async function leased({ layers, newId }: PushEngine, images: readonly StoredManifest[]): Promise<AsyncDisposable> {
  const id = newId();
  for (const image of images)
    await layers.adopt(
      image.layers.map((layer) => ({ ...layer, origin: undefined })),
      id,
    );
  return { [Symbol.asyncDispose]: () => layers.release(id) };
}

interface Packed {
  readonly root: Descriptor;
  /** Empty where nothing had to be packed. */
  readonly platforms: readonly PlatformImage[];
}

/**
 * The image with its layers packed, as new documents: in the store, which then knows it by them, unless it is only a part of an image. What
 * needs no packing, or is attested as it is, stays what it was.
 */
async function packed(engine: PushEngine, stored: StoredDocuments, options: ExportOptions): Promise<Packed> {
  if (stored.attestations.length > 0) return { root: stored.root, platforms: [] };
  const changed = new Map<string, Descriptor>();
  const platforms: PlatformImage[] = [];
  const documents = stored.isWhole ? storedDocumentsIn(engine.store) : stored.documents;
  for (const image of stored.images) {
    const descriptor = await packedManifest({ ...engine, documents }, image, options);
    if (descriptor.digest !== image.descriptor.digest) changed.set(image.descriptor.digest, descriptor);
    platforms.push({ imageId: image.manifest.config.digest, manifest: descriptor });
  }
  if (changed.size === 0) return { root: stored.root, platforms: [] };
  if (isManifestType(stored.root.mediaType)) {
    const { platform: _, ...root } = changed.get(stored.root.digest) ?? stored.root;
    return { root, platforms };
  }
  const document = await readManifestOrIndex(stored.documents, stored.root);
  if (document.kind !== "index") throw new EngineError("internal", `${stored.root.digest} was an index before`);
  const manifests = document.index.manifests.map((each) => changed.get(each.digest) ?? each);
  const bytes = encodeIndex({ ...document.index, manifests });
  const root = { ...stored.root, digest: digestOf(bytes), size: bytes.length };
  await documents.put(root, bytes);
  return { root, platforms };
}

async function packedManifest(
  engine: PushEngine & { readonly documents: Documents },
  { descriptor, manifest, layers }: StoredManifest,
  options: ExportOptions,
): Promise<Descriptor> {
  const ids = layerIds(engine, layers);
  const found: Descriptor[] = [];
  for (const [i, layer] of layers.entries()) {
    const id = ids[i];
    const isOwn = id !== undefined && engine.layers.info(id).image === undefined;
    const isPlain = layer.descriptor.digest === layer.diffId;
    if (id === undefined || !isPlain || !(isOwn || layer.descriptor.mediaType === MediaType.dockerLayer)) {
      found.push(layer.descriptor);
      continue;
    }
    options.onProgress?.({ id: `packing layer ${layer.diffId}`, done: false });
    const made = await engine.writer.gzipLayer(id, options);
    options.onProgress?.({ id: `packing layer ${layer.diffId}`, done: true });
    found.push({ ...made.descriptor, mediaType: gzipTypeIn(manifest.mediaType) });
  }
  if (found.every(({ digest }, i) => digest === layers[i]?.descriptor.digest)) return descriptor;
  const bytes = encodeManifest({ ...manifest, layers: found });
  const changed = { ...descriptor, digest: digestOf(bytes), size: bytes.length };
  await engine.documents.put(changed, bytes);
  return changed;
}

function gzipTypeIn(manifestType: string): string {
  return manifestType === MediaType.dockerManifest ? MediaType.dockerLayerGzip : MediaType.ociLayerGzip;
}

/** Where the registry may have a layer already. */
function originsOf(engine: PushEngine, images: readonly StoredManifest[]): (blob: Descriptor) => readonly Reference[] {
  const known = new Map<string, readonly string[]>();
  for (const { layers } of images) {
    for (const [i, id] of layerIds(engine, layers).entries()) {
      const digest = layers[i]?.descriptor.digest;
      const origins = id === undefined ? undefined : engine.layers.info(id).image?.origins;
      if (digest && origins) known.set(digest, origins);
    }
  }
  return ({ digest }) => (known.get(digest) ?? []).flatMap((origin) => originReference(origin) ?? []);
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}
