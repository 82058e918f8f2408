import { type AbortOptions, EngineError } from "../base/index.js";
import {
  type ExportedImage,
  type ExportOptions,
  effectiveEpoch,
  fullNames,
  type ImageWriter,
  reported,
  type StoredImages,
  type StoreOutput,
  storeImage,
} from "../exporters/index.js";
import {
  type Descriptor,
  formatReference,
  isIndexType,
  isManifestType,
  type Provider,
  parseReference,
  type Reference,
  repositoryName,
} from "../oci/index.js";
import { type PushProgress, pushImage, type Registry } from "../registry/index.js";
import type { FetchLayer, KnownLayer, LayerStore } from "../snapshot/index.js";
import type { ContentStore, ImageStore } from "../store/index.js";
import { originReference } from "./catalog.js";

/** What images are stored and pushed with. */
export interface ImageOutputs {
  readonly writer: ImageWriter;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly fetchLayer: FetchLayer;
  readonly registry: Registry;
}

/** Images to store. */
export interface StoreRequest extends ExportOptions {
  readonly images: readonly ExportedImage[];
  readonly output: StoreOutput;
  /** The build's names; those of the output are for builds that have none. */
  readonly tags: readonly string[];
  /** What the build fixes, in seconds. */
  readonly sourceDateEpoch: number | undefined;
  readonly multiPlatform: boolean;
}

export interface StoredOutput extends StoredImages {
  /** What the image is to be called elsewhere, as it was asked for. */
  readonly wanted: readonly string[];
}

/** Refuses names that OUTPUT can't push to. Throws `invalid`. */
export function checkStoreOutput(output: StoreOutput, tags: readonly string[]): void {
  const names = namesOf(output, tags);
  fullNames(names);
  if (!output.push) return;
  if (names.length === 0 && output.dangling === undefined)
    throw new EngineError("invalid", "tag is needed when pushing to registry", { hint: "name the image with -t" });
  for (const name of output.pushByDigest ? names : []) {
    const reference = parseReference(name);
    if (reference.tag !== undefined)
      throw new EngineError("invalid", `can't push tagged ref ${formatReference(reference)} by digest`);
  }
}

/** Writes the images' documents, and gives them their names in the store. Errors: those of the writer, `invalid` for a name. */
export async function storeOutput(outputs: ImageOutputs, request: StoreRequest): Promise<StoredOutput> {
  const { images, output, tags, signal, onProgress, multiPlatform } = request;
  const wanted = namesOf(output, tags);
  const sourceDateEpoch = effectiveEpoch(output.sourceDateEpoch, request.sourceDateEpoch);
  const { mediaTypes, annotations, ociArtifact } = output;
  const documents = { mediaTypes, annotations, ociArtifact, sourceDateEpoch, multiPlatform, signal, onProgress };
  const packing = output.packed ? { ...output, ...documents } : undefined;
  const names = output.store ? fullNames(wanted) : [];
  const stored = await storeImage(outputs, images, {
    ...documents,
    names,
    subjects: fullNames(wanted),
    packing,
    canonical: output.nameCanonical,
    passing: !output.store,
  });
  if (output.unpack) for (const { tree } of images) await outputs.layers.ensure(tree, { signal });
  const dangling = danglingName(output, wanted, stored.root);
  if (dangling === undefined) return { ...stored, wanted };
  const platforms = stored.images.map(({ config, manifest }) => ({ imageId: config.digest, manifest }));
  if (output.store) await outputs.images.put({ name: dangling, target: stored.root, platforms });
  return { ...stored, wanted: [...wanted, dangling] };
}

function namesOf(output: StoreOutput, tags: readonly string[]): readonly string[] {
  return tags.length > 0 ? tags : output.names;
}

/** The name that an image has by its digest alone. */
function danglingName({ dangling }: StoreOutput, names: readonly string[], { digest }: Descriptor): string | undefined {
  if (dangling === undefined || (dangling.onlyWhereNameless && names.length > 0)) return undefined;
  return `${dangling.prefix}@${digest}`;
}

/** An image to push. */
export interface PushRequest {
  readonly root: Descriptor;
  readonly images: readonly ExportedImage[];
  /** Gives what of it is here. */
  readonly provider: Provider;
  readonly names: readonly string[];
  readonly byDigest: boolean;
}

/** Pushes an image under each of its names. Layers of base images that a registry can't mount are fetched for that. Errors: `pushImage`'s. */
export async function pushOutput(outputs: ImageOutputs, request: PushRequest, options: ExportOptions): Promise<void> {
  const { root, images, byDigest } = request;
  const bases = baseLayers(outputs.layers, images);
  const provider = providerOf(outputs, request.provider, bases);
  const origins = (blob: Descriptor): readonly Reference[] =>
    (bases.get(blob.digest)?.origins ?? []).flatMap((origin) => originReference(origin) ?? []);
  for (const [repository, { reference, tags }] of repositoriesOf(request.names, byDigest)) {
    const onProgress = progressOf(repository, options);
    await pushImage(outputs.registry.repository(reference), root, provider, {
      tags,
      origins,
      onProgress,
      ...(options.signal ? { signal: options.signal } : {}),
    });
  }
  if (request.names.length === 0) await reported("nothing to push: the image has no name", options, async () => {});
}

interface Target {
  readonly reference: Reference;
  readonly tags: readonly string[];
}

/** The tags that each repository gets; none where the image is to be had by its digest only. */
function repositoriesOf(names: readonly string[], byDigest: boolean): ReadonlyMap<string, Target> {
  const targets = new Map<string, { readonly reference: Reference; readonly tags: string[] }>();
  for (const name of names) {
    const reference = parseReference(name);
    const repository = repositoryName(reference);
    const target = targets.get(repository) ?? { reference, tags: [] };
    targets.set(repository, target);
    if (!byDigest && reference.digest === undefined) target.tags.push(reference.tag ?? "latest");
  }
  return targets;
}

/** The base images' layers, by the digest of their own blobs. */
function baseLayers(layers: LayerStore, images: readonly ExportedImage[]): ReadonlyMap<string, KnownLayer> {
  const known = images
    .flatMap(({ tree }) => tree)
    .flatMap((layer) => {
      const { image } = layers.info(layer);
      return image ? [[image.descriptor.digest, image] as const] : [];
    });
  return new Map(known);
}

/** What NEAR has, and what can be fetched into the store. */
function providerOf(
  { store, fetchLayer }: ImageOutputs,
  near: Provider,
  bases: ReadonlyMap<string, KnownLayer>,
): Provider {
  return {
    async *read(target, options = {}) {
      const base = bases.get(target.digest);
      if (base && !(await store.info(target.digest))) await fetchLayer(base, abortOf(options));
      yield* near.read(target, options);
    },
  };
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}

/** Shows what is pushed to REPOSITORY in BuildKit's words. */
export function progressOf(repository: string, { onProgress }: ExportOptions): (progress: PushProgress) => void {
  return (progress) => {
    const { target } = progress;
    const isDocument = isManifestType(target.mediaType) || isIndexType(target.mediaType);
    const id = isDocument ? `pushing manifest for ${repository}@${target.digest}` : `pushing layer ${target.digest}`;
    switch (progress.kind) {
      case "started":
        return onProgress?.({ id, done: false });
      case "sending":
        return onProgress?.({ id, current: progress.currentBytes, total: target.size, done: false });
      case "done":
        return onProgress?.({ id, total: target.size, current: target.size, done: true });
    }
  };
}
