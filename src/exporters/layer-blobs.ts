import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import {
  type AbortOptions,
  createLimiter,
  type Digest,
  EngineError,
  Flight,
  type Limiter,
  makeDirectories,
  unreachable,
} from "../base/index.js";
import { type Descriptor, type Layer, layerCompression, MediaType } from "../oci/index.js";
import type {
  DataPlane,
  FetchLayer,
  KnownLayer,
  LayerCompression,
  LayerId,
  LayerStore,
  MadeLayer,
  StateDirs,
  WrittenBlob,
} from "../snapshot/index.js";
import type { ContentStore } from "../store/index.js";

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
  readonly compression: LayerCompression;
  /** Whether images' layers are packed so too, instead of staying as they came. */
  readonly force: boolean;
  /** Seconds; later times in layers of our own become it. */
  readonly sourceDateEpoch?: number | undefined;
}

interface BlobOptions extends AbortOptions {
  /** Bytes of the archive so far. */
  readonly onBytes?: ((layer: LayerId, bytes: number) => void) | undefined;
  /** Whether nobody waits for it yet: it keeps to about one core, and leaves the other threads to those who are waited for. */
  readonly background?: boolean | undefined;
}

/** The blobs of layers. Types of what was made here are OCI's. Errors: `data-loss` where a layer is not what it was, `no-space`. */
export interface LayerBlobs {
  /**
   * The layer as a blob, made unless it was before. An image's layer is its own blob, which need not be here; what was made is in the
   * content store.
   */
  make(layer: LayerId, form: BlobForm, options?: BlobOptions): Promise<MadeLayer>;
  /** The layer as its image has it, as the blob that there is of it already, or else as a plain archive that need not be kept. */
  describe(layer: LayerId, options?: BlobOptions): Promise<Layer>;
  /** Sees to it that a blob that `make` gave for the layer is in the content store. */
  bring(layer: LayerId, made: Layer, options?: AbortOptions): Promise<void>;
}

/** The compression level where none is asked for: what gzip(1) and BuildKit use. */
export const DEFAULT_GZIP_LEVEL = 6;
/** What zstd(1) and BuildKit use. */
export const DEFAULT_ZSTD_LEVEL = 3;

export function createLayerBlobs(options: ImageWriterOptions): LayerBlobs {
  return new Blobs(options);
}

/** The plain archive. */
export const PLAIN: BlobForm = { compression: { kind: "none" }, force: false };
/** What is packed where nobody asks for anything else. */
export const USUAL: BlobForm = { compression: { kind: "gzip", level: DEFAULT_GZIP_LEVEL }, force: false };
/** Takes what is hashed but not kept. */
const NOWHERE = "/dev/null";

class Blobs implements LayerBlobs {
  readonly #options: ImageWriterOptions;
  readonly #limiter: Limiter;
  readonly #making = new Flight<string, MadeLayer>();

  constructor(options: ImageWriterOptions) {
    this.#options = options;
    this.#limiter = createLimiter(options.concurrency);
  }

  async make(layer: LayerId, form: BlobForm, options: BlobOptions = {}): Promise<MadeLayer> {
    const { image } = this.#options.layers.info(layer);
    if (image && (!form.force || isPacked(image.descriptor, form.compression)))
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
      return this.#export(layer, { form: PLAIN, output: NOWHERE }, { ...options, signal });
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
  async #kept(layer: LayerId, variant: string): Promise<MadeLayer | undefined> {
    const { layers, store } = this.#options;
    const known = layers.blob(layer, variant);
    if (known === undefined) return undefined;
    const info = await store.info(known.descriptor.digest);
    return info?.sizeBytes === known.descriptor.size ? known : undefined;
  }

  #once(key: string, { signal }: AbortOptions, work: (signal: AbortSignal) => Promise<MadeLayer>): Promise<MadeLayer> {
    return this.#making.do(key, (shared) => this.#limiter.run(() => work(shared), { signal: shared }), { signal });
  }

  #pack(layer: LayerId, form: BlobForm, options: BlobOptions): Promise<MadeLayer> {
    return this.#inFile(async (output) => {
      const made = await this.#export(layer, { form, output }, options);
      await this.#options.store.adopt(output, made.descriptor);
      return made;
    });
  }

  /** Packs the layer and notes what came of it, which must be what it was before. */
  async #export(
    layer: LayerId,
    { form, output }: { readonly form: BlobForm; readonly output: string },
    { signal, onBytes, background }: BlobOptions,
  ): Promise<MadeLayer> {
    const { layers, plane } = this.#options;
    const { compression, sourceDateEpoch } = form;
    const variant = variantOf(form);
    const args = { layer, compression, output, epochSeconds: sourceDateEpoch, background };
    const onProgress = (progress: { readonly current: number }) => onBytes?.(layer, progress.current);
    const written = await plane.run("exportLayer", args, { signal, onProgress });
    const { archive, diffId } = written;
    const changed = (was: Digest | undefined, is: Digest): void => {
      if (was !== undefined && was !== is)
        throw new EngineError(
          "data-loss",
          `layer ${layer} has changed on disk: its archive was ${was}, now it is ${is}`,
        );
    };
    const made = madeOf(compression, written);
    if (sourceDateEpoch === undefined) {
      changed(layers.info(layer).diffId, archive);
      await layers.setDiffId(layer, archive);
    } else if (compression.kind !== "estargz") changed(layers.blob(layer, variant)?.diffId, diffId);
    await layers.setBlob(layer, variant, made);
    return made;
  }

  async #convert(layer: LayerId, image: KnownLayer, form: BlobForm, options: BlobOptions): Promise<MadeLayer> {
    const { layers, store, plane } = this.#options;
    const { compression } = form;
    const { descriptor, diffId } = image;
    await this.bring(layer, image, options);
    return this.#inFile(async (output) => {
      const args = { input: store.path(descriptor.digest), name: descriptor.digest, compression, output };
      const written = await plane.run("convertBlob", args, { signal: options.signal });
      if (written.archive !== diffId)
        throw new EngineError(
          "data-loss",
          `${descriptor.digest} holds the archive ${written.archive}, expected ${diffId}`,
        );
      const made = madeOf(compression, written);
      await store.adopt(output, made.descriptor);
      await layers.setBlob(layer, variantOf(form), made);
      return made;
    });
  }

  /** Has WORK fill a file of its own, which is gone afterwards. */
  async #inFile(work: (file: string) => Promise<MadeLayer>): Promise<MadeLayer> {
    const { dirs } = this.#options;
    makeDirectories(dirs.tmp);
    const directory = await mkdtemp(path.join(dirs.tmp, "blob-"));
    try {
      return await work(path.join(directory, "blob"));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** The name of a form among a layer's blobs. */
function variantOf({ compression, sourceDateEpoch }: BlobForm): string {
  const packed = compression.kind === "none" ? "none" : `${compression.kind}:${compression.level}`;
  return sourceDateEpoch === undefined ? packed : `${packed};epoch=${sourceDateEpoch}`;
}

function madeOf(compression: LayerCompression, written: WrittenBlob): MadeLayer {
  const { digest, sizeBytes, annotations, diffId, encoder } = written;
  return {
    descriptor: { mediaType: typeOf(compression), digest, size: sizeBytes, ...(annotations ? { annotations } : {}) },
    diffId,
    ...(encoder === undefined ? {} : { encoder }),
  };
}

function typeOf(compression: LayerCompression): string {
  switch (compression.kind) {
    case "none":
      return MediaType.ociLayer;
    case "gzip":
    case "estargz":
      return MediaType.ociLayerGzip;
    case "zstd":
      return MediaType.ociLayerZstd;
    default:
      return unreachable(compression);
  }
}

const ESTARGZ_ANNOTATION = "containerd.io/snapshot/stargz/toc.digest";

/** Whether a blob is packed so already, at whatever level. */
function isPacked({ mediaType, annotations }: Descriptor, { kind }: LayerCompression): boolean {
  if (kind === "estargz") return annotations?.[ESTARGZ_ANNOTATION] !== undefined;
  return layerCompression(mediaType) === kind;
}
