import type { Attestation } from "../attest/index.js";
import { type AbortOptions, type Digest, digestOf, EngineError, forAll } from "../base/index.js";
import {
  type Descriptor,
  encodeImageConfig,
  encodeIndex,
  encodeManifest,
  type Layer,
  MediaType,
  type Platform,
} from "../oci/index.js";
import type { LayerId, LayerStore, Tree } from "../snapshot/index.js";
import { type ContentStore, type Documents, passingDocuments, storedDocumentsIn } from "../store/index.js";
import { type Annotation, annotationsAt, checkAnnotations } from "./annotations.js";
import { attestationDocuments } from "./attestation-manifest.js";
import { finishConfig } from "./finish-config.js";
import type { ExportedImage, WrittenAttestations, WrittenImage, WrittenImages } from "./image.js";
import { createLayerBlobs, type ImageWriterOptions, type LayerBlobs, PLAIN, USUAL } from "./layer-blobs.js";
import { listedLayer, type MediaTypes } from "./layer-descriptor.js";
import { formOf, ownForm, type PackingOptions } from "./packing.js";
import { type ExportOptions, reported } from "./progress.js";

/** What is the same however an image's layers are packed. */
export interface DocumentOptions extends ExportOptions {
  readonly mediaTypes: MediaTypes;
  /** Seconds since the epoch: times after it become it, in configs, and with rewriteTimestamp in layers of our own. */
  readonly sourceDateEpoch?: number | undefined;
  readonly annotations?: readonly Annotation[] | undefined;
  /** Whether an only image has an index, too. */
  readonly multiPlatform?: boolean | undefined;
  /** What the images are called: the subjects of attestations. */
  readonly names?: readonly string[] | undefined;
  /** Whether attestations that are to go inline only make an index of an only image; true unless it says otherwise. */
  readonly inlineAttestations?: boolean | undefined;
  /** Whether attestations are told to be no image, and which one they are about (image-spec 1.1); true unless it says otherwise. */
  readonly ociArtifact?: boolean | undefined;
  /** Whether the documents are for one output alone, and not to stay in the content store. */
  readonly passing?: boolean | undefined;
}

export interface WriteOptions extends DocumentOptions, PackingOptions {
  /** Whether the blobs of base images' layers must be in the content store, too. */
  readonly complete: boolean;
}

/**
 * Makes image documents, and layer blobs in the content store. Errors: `invalid` for a config without a platform or annotations that
 * don't fit, `data-loss` where a layer is not what it was, `no-space`, `canceled`.
 */
export interface ImageWriter {
  /** Writes images, in the order of the index; a single one has none unless the options say so. */
  write(images: readonly ExportedImage[], options: WriteOptions): Promise<WrittenImages>;
  /**
   * Begins to pack the topmost layer of TREE, which an image to write will need, while nobody waits for it. Settles when that is done;
   * `write` shares it.
   */
  prepack(tree: Tree, options: WriteOptions): Promise<void>;
  /** Writes documents alone: layers of our own are described as plain archives, unless there is a blob of one already. */
  describe(images: readonly ExportedImage[], options: DocumentOptions): Promise<WrittenImages>;
  /** Sees to it that what a layer was described as is a blob in the content store. */
  keepBlob(layer: LayerId, described: Layer, options?: AbortOptions): Promise<void>;
  /** The layer as a blob in the form asked for; one of a base image that is packed so already need not be here. */
  packLayer(layer: LayerId, packing: PackingOptions, options?: AbortOptions): Promise<Layer>;
  /** The layer as a gzip blob in the content store; an image's layer that is packed so already is its own. */
  gzipLayer(layer: LayerId, options?: ExportOptions): Promise<Layer>;
  /** The digests of the plain archives of a tree's layers. */
  diffIdsOf(tree: Tree, options?: ExportOptions): Promise<readonly Digest[]>;
}

export function createImageWriter(options: ImageWriterOptions): ImageWriter {
  return new Writer(options, createLayerBlobs(options));
}

type LayerSource = (layer: LayerId, options: LayerSourceOptions) => Promise<Layer>;

interface LayerSourceOptions {
  readonly isBase: boolean;
  readonly signal: AbortSignal;
  readonly onBytes: (layer: LayerId, bytes: number) => void;
}

class Writer implements ImageWriter {
  readonly #store: ContentStore;
  readonly #stored: Documents;
  readonly #layers: LayerStore;
  readonly #blobs: LayerBlobs;

  constructor({ store, layers }: ImageWriterOptions, blobs: LayerBlobs) {
    this.#store = store;
    this.#stored = storedDocumentsIn(store);
    this.#layers = layers;
    this.#blobs = blobs;
  }

  write(images: readonly ExportedImage[], options: WriteOptions): Promise<WrittenImages> {
    const form = formOf(options);
    const own = ownForm(form, options);
    return this.#write(images, options, async (layer, { isBase, ...more }) => {
      const made = await this.#blobs.make(layer, isBase ? form : own, more);
      if (options.complete) await this.#blobs.bring(layer, made, more);
      return made;
    });
  }

  async prepack(tree: Tree, options: WriteOptions): Promise<void> {
    const layer = tree.at(-1);
    if (layer === undefined) return;
    await this.#blobs.make(layer, ownForm(formOf(options), options), { signal: options.signal, background: true });
  }

  describe(images: readonly ExportedImage[], options: DocumentOptions): Promise<WrittenImages> {
    return this.#write(images, options, (layer, more) => this.#blobs.describe(layer, more));
  }

  async diffIdsOf(tree: Tree, options: ExportOptions = {}): Promise<readonly Digest[]> {
    return forAll(
      tree,
      async (layer, signal) =>
        this.#layers.info(layer).diffId ?? (await this.#blobs.describe(layer, { signal })).diffId,
      options,
    );
  }

  async keepBlob(layer: LayerId, { descriptor }: Layer, options: AbortOptions = {}): Promise<void> {
    if ((await this.#store.info(descriptor.digest))?.sizeBytes === descriptor.size) return;
    await this.#blobs.make(layer, PLAIN, options);
  }

  packLayer(layer: LayerId, packing: PackingOptions, options: AbortOptions = {}): Promise<Layer> {
    return this.#blobs.make(layer, formOf(packing), { ...options, background: true });
  }

  gzipLayer(layer: LayerId, options: ExportOptions = {}): Promise<Layer> {
    return this.#blobs.make(layer, { ...USUAL, force: true }, { signal: options.signal });
  }

  async #write(
    images: readonly ExportedImage[],
    options: DocumentOptions,
    source: LayerSource,
  ): Promise<WrittenImages> {
    const { annotations = [], mediaTypes } = options;
    const platforms = images.map(({ platform }) => platform);
    const stated = statedOnes(images, options);
    const hasIndex = images.length > 1 || stated.length > 0 || options.multiPlatform === true;
    checkAnnotations(annotations, platforms, { mediaTypes, hasIndex });
    if (mediaTypes === "docker" && stated.length > 0)
      throw new EngineError("invalid", 'cannot export attestations with "oci-mediatypes=false"');
    const layers = await reported("exporting layers", options, (report) => {
      const onBytes = summedUp(report);
      return forAll(
        images,
        ({ tree, baseLayers }, signal) =>
          forAll(
            tree.map((layer, i) => ({ layer, isBase: i < baseLayers })),
            ({ layer, isBase }, one) => source(layer, { isBase, signal: one, onBytes }),
            { signal },
          ),
        options,
      );
    });
    const documents = options.passing ? passingDocuments(this.#store) : this.#stored;
    const writing = { ...options, documents };
    const written: WrittenImage[] = [];
    for (const [i, image] of images.entries()) {
      const bare = await this.#writeImage(image, layers[i] ?? [], writing);
      written.push({ ...bare, attestations: await this.#writeAttestations(bare, stated[i] ?? [], writing) });
    }
    const [only] = written;
    const root = only && !hasIndex ? only.manifest : await this.#writeIndex(written, writing);
    return { root, images: written, provider: documents };
  }

  async #writeAttestations(
    image: Unattested,
    attestations: readonly Attestation[],
    options: Writing,
  ): Promise<WrittenAttestations | undefined> {
    if (attestations.length === 0) return undefined;
    const { names = [], ociArtifact = true } = options;
    const { manifest, parts } = attestationDocuments(attestations, image, { names, ociArtifact });
    const id = `exporting attestation manifest ${manifest.descriptor.digest}`;
    for (const { descriptor, bytes } of parts) await options.documents.put(descriptor, bytes, options);
    await this.#put(id, manifest.descriptor, manifest.bytes, options);
    return { manifest: manifest.descriptor, blobs: parts.map(({ descriptor }) => descriptor) };
  }

  async #writeImage(image: ExportedImage, made: readonly Layer[], options: Writing): Promise<Unattested> {
    const { platform } = image;
    const types = documentTypes(options.mediaTypes);
    const layers = made.map(({ descriptor, diffId }) => ({
      descriptor: listedLayer(descriptor, options.mediaTypes),
      diffId,
    }));
    const facts = layers.map(({ diffId }, i) => ({ diffId, createdAt: this.#createdAt(image.tree[i]) }));
    const { baseLayers } = image;
    const { annotations = [], sourceDateEpoch } = options;
    const configBytes = encodeImageConfig(finishConfig(image.config, facts, { baseLayers, sourceDateEpoch }));
    const config = descriptorOf(types.config, configBytes);
    const manifestBytes = encodeManifest({
      mediaType: types.manifest,
      config,
      layers: layers.map(({ descriptor }) => descriptor),
      annotations: annotationsAt(annotations, "manifest", platform),
    });
    const bare = descriptorOf(types.manifest, manifestBytes);
    await this.#put(`exporting manifest ${bare.digest}`, bare, manifestBytes, options);
    await this.#put(`exporting config ${config.digest}`, config, configBytes, options);
    const manifest = pointing(bare, annotationsAt(annotations, "manifest-descriptor", platform), platform);
    return { platform, manifest, config, layers };
  }

  async #writeIndex(images: readonly WrittenImage[], options: Writing): Promise<Descriptor> {
    const { annotations = [], mediaTypes } = options;
    const bytes = encodeIndex({
      mediaType: documentTypes(mediaTypes).index,
      manifests: [
        ...images.map(({ manifest }) => manifest),
        ...images.flatMap(({ attestations }) => attestations?.manifest ?? []),
      ],
      annotations: annotationsAt(annotations, "index"),
    });
    const index = descriptorOf(documentTypes(mediaTypes).index, bytes);
    await this.#put(`exporting manifest list ${index.digest}`, index, bytes, options);
    return pointing(index, annotationsAt(annotations, "index-descriptor"));
  }

  #createdAt(layer: LayerId | undefined): number {
    return layer === undefined ? 0 : this.#layers.info(layer).createdAt;
  }

  async #put(id: string, target: Descriptor, bytes: Uint8Array, options: Writing): Promise<void> {
    await reported(id, options, () => options.documents.put(target, bytes, options));
  }
}

interface Writing extends DocumentOptions {
  readonly documents: Documents;
}

type Unattested = Omit<WrittenImage, "attestations">;

/** The attestations of each image. One image without any of its own stays what it is, and takes none that are inline only. */
function statedOnes(
  images: readonly ExportedImage[],
  { inlineAttestations = true, multiPlatform = false }: DocumentOptions,
): readonly (readonly Attestation[])[] {
  const all = images.map(({ attestations = [] }) => attestations);
  const makeIndex =
    images.length > 1 || multiPlatform || all.flat().some(({ inlineOnly }) => inlineAttestations || !inlineOnly);
  return makeIndex && all.some((each) => each.length > 0) ? all : [];
}

function documentTypes(types: MediaTypes): {
  readonly config: string;
  readonly manifest: string;
  readonly index: string;
} {
  if (types === "oci")
    return { config: MediaType.ociConfig, manifest: MediaType.ociManifest, index: MediaType.ociIndex };
  return { config: MediaType.dockerConfig, manifest: MediaType.dockerManifest, index: MediaType.dockerIndex };
}

function descriptorOf(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/** TARGET as something else points to it. */
function pointing(target: Descriptor, annotations: Readonly<Record<string, string>>, platform?: Platform): Descriptor {
  return {
    ...target,
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...(platform === undefined ? {} : { platform }),
  };
}

/** Turns each layer's count into one of all. */
function summedUp(report: (bytes: number) => void): (layer: LayerId, bytes: number) => void {
  const done = new Map<LayerId, number>();
  let sum = 0;
  return (layer, bytes) => {
    sum += bytes - (done.get(layer) ?? 0);
    done.set(layer, bytes);
    report(sum);
  };
}
