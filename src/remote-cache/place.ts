import type { AbortOptions } from "../base/index.js";
import type { Descriptor, Provider } from "../oci/index.js";
import type { CacheIndex, EncodedCache } from "./document.js";

/** A place that caches are read from. */
export interface CacheSource {
  /** As it is shown: `registry.example/app:cache`. */
  readonly name: string;
  /**
   * What lies there: one cache, or those of each platform of an image. Errors: `not-found`, `denied`, `unavailable`, `invalid`,
   * `unsupported`, `data-loss`, `canceled`.
   */
  open(options: AbortOptions): Promise<readonly OpenedCache[]>;
}

/** A cache, and where its layers are. */
export interface OpenedCache {
  readonly index: CacheIndex;
  /** The place of its layers, as the fetcher of layers understands it. */
  readonly origin: string;
  /** Gives the bytes of cache mounts. */
  readonly provider: Provider;
  /** Gives the layers' bytes, where that takes what only this build was lent. */
  readonly lends?: Provider | undefined;
  /** Whether the layer is still there, where a place may lose single ones. */
  readonly has?: ((layer: Descriptor, options: AbortOptions) => Promise<boolean>) | undefined;
}

/** A place that a cache is written to. */
export interface CacheTarget {
  /** As it is shown, like a source. */
  readonly name: string;
  /** What is done, in BuildKit's words: `exporting cache to registry`. */
  readonly title: string;
  /** Sees to it that a blob is there, reading it from SOURCE only if it isn't. */
  putBlob(blob: Descriptor, source: Provider, options: PutOptions): Promise<void>;
  /** Makes the cache be found by its name, if it isn't; its layers are there. Gives the descriptor of its manifest, if it has one. */
  publish(cache: PublishedCache, options: AbortOptions): Promise<Descriptor | undefined>;
}

export interface PutOptions extends AbortOptions {
  /** Repositories that may have the blob, as places of layers. */
  readonly origins: readonly string[];
}

export interface PublishedCache extends EncodedCache {
  /** The blobs of its layers. */
  readonly layers: readonly Descriptor[];
}
