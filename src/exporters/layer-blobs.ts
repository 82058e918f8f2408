import { mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { type AbortOptions, createLimiter, type Digest, EngineError, Flight, type Limiter } from "../base/index.js";
import { type Descriptor, type Layer, layerCompression, MediaType } from "../oci/index.js";
import type { DataPlane, FetchLayer, KnownLayer, LayerId, LayerStore, StateDirs } from "../snapshot/index.js";
import type { ContentStore } from "../store/index.js";
import { type BlobCompression, convertBlob } from "./convert-blob.js";

/** What images are written with. */
export interface ImageWriterOptions {
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  readonly dirs: StateDirs;
  /** Brings the blob of an image's layer here. */
  readonly fetchLayer: FetchLayer;
  /** Layers packed at once: the number of cores. */
  readonly concurrency: number;
}

/** How a layer is to be packed. */
export interface BlobForm {
  readonly compression: BlobCompression;
  /** Whether images' layers are packed so too, instead of staying as they came. */
  readonly force: boolean;
  /** Seconds; later times in layers of our own become it. */
  readonly sourceDateEpoch?: number | undefined;
}

interface BlobOptions extends AbortOptions {
  /** Bytes of the archive so far. */
  readonly onBytes?: ((layer: LayerId, bytes: number) => void) | undefined;
}

/** The blobs of layers. Types of what was made here are OCI's. Errors: `data-loss` where a layer is not what it was, `no-space`. */
export interface LayerBlobs {
  /**
   * The layer as a blob, made unless it was before. An image's layer is its own blob, which need not be here; what was made is in the
   * content store.
   */
  make(layer: LayerId, form: BlobForm, options?: BlobOptions): Promise<Layer>;
  /** The layer as its image has it, as the blob that there is of it already, or else as a plain archive that need not be kept. */
  describe(layer: LayerId, options?: BlobOptions): Promise<Layer>;
  /** Sees to it that a blob that `make` gave for the layer is in the content store. */
  bring(layer: LayerId, made: Layer, options?: AbortOptions): Promise<void>;
}

/** The compression level where none is asked for: what gzip(1) and BuildKit use. */
export const DEFAULT_GZIP_LEVEL = 6;

export function createLayerBlobs(options: ImageWriterOptions): LayerBlobs {
  return new Blobs(options);
}

/** The plain archive. */
export const PLAIN: BlobForm = { compression: { kind: "none" }, force: false };
const USUAL: BlobForm = { compression: { kind: "gzip", level: DEFAULT_GZIP_LEVEL }, force: false };
/** Takes what is hashed but not kept. */
const NOWHERE = "/dev/null";

class Blobs implements LayerBlobs {
  readonly #options: ImageWriterOptions;
  readonly #limiter: Limiter;
  readonly #making = new Flight<string, Layer>();

  constructor(options: ImageWriterOptions) {
    this.#options = options;
    this.#limiter = createLimiter(options.concurrency);
  }

  async make(layer: LayerId, form: BlobForm, options: BlobOptions = {}): Promise<Layer> {
    const { image } = this.#options.layers.info(layer);
    if (image && (!form.force || layerCompression(image.descriptor.mediaType) === form.compression.kind))
      return { descriptor: image.descriptor, diffId: image.diffId };
    const variant = variantOf(form);
    const known = await this.#kept(layer, variant);
    if (known) return known;
    return this.#once(`${layer} ${variant}`, options, (signal) => {
      const work = { ...options, signal };
      return image ? this.#convert(layer, image, form, work) : this.#pack(layer, form, work);
    });
  }

  async describe(layer: LayerId, options: BlobOptions = {}): Promise<Layer> {
    const { layers } = this.#options;
    const { image } = layers.info(layer);
    if (image) return { descriptor: image.descriptor, diffId: image.diffId };
    const variant = variantOf(PLAIN);
    const known = (await this.#kept(layer, variantOf(USUAL))) ?? layers.blob(layer, variant);
    if (known) return known;
    return this.#once(`${layer} described`, options, async (signal) => {
      const made = await this.#export(layer, { form: PLAIN, output: NOWHERE }, { ...options, signal });
      await this.#note(layer, variant, made);
      return made;
    });
  }

  async bring(layer: LayerId, made: Layer, options: AbortOptions = {}): Promise<void> {
    const { layers, store, fetchLayer } = this.#options;
    const { digest, size } = made.descriptor;
    if ((await store.info(digest))?.sizeBytes === size) return;
    const { image } = layers.info(layer);
    if (image?.descriptor.digest !== digest) throw new EngineError("data-loss", `the blob ${digest} is gone`);
    await fetchLayer(image, options);
  }

  /** A blob made earlier, if it is still there. */
  async #kept(layer: LayerId, variant: string): Promise<Layer | undefined> {
    const { layers, store } = this.#options;
    const known = layers.blob(layer, variant);
    if (known === undefined) return undefined;
    const info = await store.info(known.descriptor.digest);
    return info?.sizeBytes === known.descriptor.size ? known : undefined;
  }

  #once(key: string, { signal }: AbortOptions, work: (signal: AbortSignal) => Promise<Layer>): Promise<Layer> {
    return this.#making.do(key, (shared) => this.#limiter.run(() => work(shared), { signal: shared }), { signal });
  }

  async #pack(layer: LayerId, form: BlobForm, options: BlobOptions): Promise<Layer> {
    const { dirs, store } = this.#options;
    await mkdir(dirs.tmp, { recursive: true });
    const directory = await mkdtemp(path.join(dirs.tmp, "blob-"));
    try {
      const output = path.join(directory, "blob");
      const made = await this.#export(layer, { form, output }, options);
      await store.adopt(output, made.descriptor);
      await this.#note(layer, variantOf(form), made, form.sourceDateEpoch === undefined);
      return made;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #export(
    layer: LayerId,
    to: { readonly form: BlobForm; readonly output: string },
    { signal, onBytes }: BlobOptions,
  ): Promise<Layer> {
    const { layers, plane } = this.#options;
    const { compression, sourceDateEpoch } = to.form;
    const noted = layers.blob(layer, variantOf(to.form))?.diffId;
    const known = sourceDateEpoch === undefined ? (layers.info(layer).diffId ?? noted) : noted;
    const args = { layer, compression, output: to.output, epochSeconds: sourceDateEpoch };
    const onProgress = (progress: { readonly current: number }) => onBytes?.(layer, progress.current);
    const { diffId, digest, sizeBytes } = await plane.run("exportLayer", args, { signal, onProgress });
    if (known !== undefined && known !== diffId)
      throw new EngineError(
        "data-loss",
        `layer ${layer} has changed on disk: its archive was ${known}, now it is ${diffId}`,
      );
    return { descriptor: descriptorOf(compression, digest, sizeBytes), diffId };
  }

  async #convert(layer: LayerId, image: KnownLayer, form: BlobForm, options: BlobOptions): Promise<Layer> {
    const { layers, store } = this.#options;
    const { compression } = form;
    await this.bring(layer, image, options);
    const made = await convertBlob(image, { compression, mediaType: typeOf(compression) }, store, options);
    await layers.setBlob(layer, variantOf(form), made);
    return made;
  }

  async #note(layer: LayerId, variant: string, made: Layer, isItself = true): Promise<void> {
    const { layers } = this.#options;
    await layers.setBlob(layer, variant, made);
    if (isItself) await layers.setDiffId(layer, made.diffId);
  }
}

/** The name of a form among a layer's blobs. */
function variantOf({ compression, sourceDateEpoch }: BlobForm): string {
  const packed = compression.kind === "gzip" ? `gzip:${compression.level}` : "none";
  return sourceDateEpoch === undefined ? packed : `${packed};epoch=${sourceDateEpoch}`;
}

function descriptorOf(compression: BlobCompression, digest: Digest, size: number): Descriptor {
  return { mediaType: typeOf(compression), digest, size };
}

function typeOf({ kind }: BlobCompression): string {
  return kind === "gzip" ? MediaType.ociLayerGzip : MediaType.ociLayer;
}
