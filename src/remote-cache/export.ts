import { type AbortOptions, createLimiter, forAll, type Limiter } from "../base/index.js";
import type { StoredRecord } from "../cache/index.js";
import { type Descriptor, LAYERS_MAX, type Layer, layerCompression, MediaType, type Provider } from "../oci/index.js";
import type { FetchLayer, LayerId, LayerStore, Tree } from "../snapshot/index.js";
import type { ContentStore } from "../store/index.js";
import { composeCache } from "./compose.js";
import { type CacheDocument, type CacheLayer, encodeCache, RECORD_PARTS_MAX } from "./document.js";
import type { CacheTarget } from "./place.js";

/** What layers are packed and read with. */
export interface CachePacking {
  readonly layers: LayerStore;
  readonly store: ContentStore;
  readonly fetchLayer: FetchLayer;
  /** The layer as a blob in the form that the cache is to have; one of a base image need not be here. */
  readonly pack: (layer: LayerId, options: AbortOptions) => Promise<Layer>;
}

export interface CacheExportOptions extends CachePacking {
  readonly target: CacheTarget;
  /** `min`: the layers of the images; `max`: those of every step. */
  readonly mode: "min" | "max";
  readonly mediaTypes: "oci" | "docker";
  readonly signal: AbortSignal;
}

/** A cache mount to send along: a file, packed as a layer is. */
export interface MountFile {
  readonly id: string;
  readonly blob: Descriptor;
  readonly provider: Provider;
}

export interface FinishOptions extends AbortOptions {
  readonly mounts?: readonly MountFile[] | undefined;
  readonly onProgress?: ((status: { readonly id: string; readonly done: boolean }) => void) | undefined;
}

/** One build's cache on its way to another place. Disposing of it ends what is under way. */
export interface CacheExport extends AsyncDisposable {
  /** A step has made TREE: its layer is sent while others run, if it is sure to belong to the cache. */
  made(tree: Tree): void;
  /** Sends what is missing and publishes the cache. IMAGES: the layers of what was built. Gives its manifest's descriptor, if it has one. */
  finish(
    records: readonly StoredRecord[],
    images: readonly Tree[],
    options: FinishOptions,
  ): Promise<Descriptor | undefined>;
}

export function createCacheExport(options: CacheExportOptions): CacheExport {
  return new Export(options);
}

/** Layers on their way at once. */
const CONCURRENCY = 4;

class Export implements CacheExport {
  readonly #options: CacheExportOptions;
  readonly #limiter: Limiter = createLimiter(CONCURRENCY);
  readonly #closing = new AbortController();
  readonly #sent = new Map<LayerId, Promise<void>>();
  readonly #blobs = new Map<string, Promise<void>>();

  constructor(options: CacheExportOptions) {
    this.#options = options;
  }

  made(tree: Tree): void {
    const top = tree.at(-1);
    if (top === undefined || this.#options.mode === "min") return;
    this.#send(top, {}).catch(() => this.#sent.delete(top)); // tried again at the end, which tells
  }

  async finish(
    records: readonly StoredRecord[],
    images: readonly Tree[],
    options: FinishOptions,
  ): Promise<Descriptor | undefined> {
    const { target, mode } = this.#options;
    const { mounts = [] } = options;
    const wanted = mode === "max" ? records.flatMap(({ results }) => results.flat()) : images.flat();
    const ids = [...new Set(wanted)].slice(0, LAYERS_MAX - RECORD_PARTS_MAX);
    const cache = await step("preparing build cache for export", options, async () => {
      const pack = async (id: LayerId, signal: AbortSignal) => [id, await this.#packed(id, { signal })] as const;
      const document = composeCache(records, new Map(await forAll(ids, pack, options)));
      const listed = mounts.map(({ id, blob: { digest, size } }) => ({ id, digest, size }));
      const blobs = mounts.map(({ blob }) => blob);
      return { ...encodeCache({ ...document, mounts: listed }), layers: [...layersOf(document), ...blobs] };
    });
    await forAll(ids, (id, signal) => this.#send(id, { ...options, signal }), options);
    const put = ({ blob, provider }: MountFile, signal: AbortSignal) =>
      step(`writing layer ${blob.digest}`, options, () => target.putBlob(blob, provider, { signal, origins: [] }));
    await forAll(mounts, put, options);
    return step("writing cache manifest", options, () => target.publish(cache, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#sent.values());
  }

  /** Packs a layer and sees to it that it is there; once. */
  #send(id: LayerId, options: FinishOptions): Promise<void> {
    const known = this.#sent.get(id);
    if (known) return known;
    const sending = this.#limiter.run(() => this.#put(id, { ...options, signal: this.#signalOf(options) }));
    this.#sent.set(id, sending);
    return sending;
  }

  #signalOf({ signal }: AbortOptions): AbortSignal {
    const all = [this.#options.signal, this.#closing.signal, signal];
    return AbortSignal.any(all.filter((each) => each !== undefined));
  }

  async #packed(id: LayerId, options: AbortOptions): Promise<CacheLayer> {
    const { layers, pack, mediaTypes } = this.#options;
    const { descriptor, diffId } = await pack(id, { signal: this.#signalOf(options) });
    const { digest, size } = descriptor;
    const { createdAt } = layers.info(id);
    return { descriptor: { mediaType: typeOf(descriptor, mediaTypes), digest, size }, diffId, createdAt };
  }

  async #put(id: LayerId, options: FinishOptions): Promise<void> {
    const { descriptor } = await this.#packed(id, options);
    // Layers of other numbers may have the same blob.
    const sending = this.#blobs.get(descriptor.digest) ?? this.#putBlob(id, descriptor, options);
    this.#blobs.set(descriptor.digest, sending);
    await sending;
  }

  async #putBlob(id: LayerId, blob: Descriptor, options: FinishOptions): Promise<void> {
    const { layers, target } = this.#options;
    const origins = layers.info(id).image?.origins ?? [];
    try {
      await step(`writing layer ${blob.digest}`, options, () =>
        target.putBlob(blob, this.#provider(id), { ...abortOf(options), origins }),
      );
    } catch (error) {
      this.#blobs.delete(blob.digest);
      throw error;
    }
  }

  /** The bytes of a layer's blob. One of a base image that nobody has needed yet is fetched for it. */
  #provider(id: LayerId): Provider {
    const { store, layers, fetchLayer } = this.#options;
    return {
      async *read(target, options = {}) {
        const { image } = layers.info(id);
        if (image?.descriptor.digest === target.digest && !(await store.info(target.digest)))
          await fetchLayer(image, abortOf(options));
        yield* store.read(target, options);
      },
    };
  }
}

function layersOf({ layers }: CacheDocument): readonly Descriptor[] {
  return layers.map(({ descriptor }) => descriptor);
}

const TYPES = {
  oci: { none: MediaType.ociLayer, gzip: MediaType.ociLayerGzip, zstd: MediaType.ociLayerZstd },
  docker: { none: MediaType.dockerLayer, gzip: MediaType.dockerLayerGzip, zstd: MediaType.dockerLayerZstd },
} as const;

function typeOf({ mediaType }: Descriptor, types: "oci" | "docker"): string {
  return TYPES[types][layerCompression(mediaType) ?? "none"];
}

async function step<T>(id: string, { onProgress }: FinishOptions, work: () => Promise<T>): Promise<T> {
  onProgress?.({ id, done: false });
  const result = await work();
  onProgress?.({ id, done: true });
  return result;
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}
