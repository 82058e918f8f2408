import { type AbortOptions, EngineError, errorCode } from "../base/index.js";
import { type Bytes, checked, type Descriptor, type Provider } from "../oci/index.js";
import { RETRY_DELAYS_MS, resumed, retrying } from "../registry/index.js";
import { openCache } from "./document.js";
import type { CacheSource, CacheTarget } from "./place.js";
import { inMemory } from "./registry-place.js";

/** A service that keeps blobs by their digests, each by itself, and the config of a cache by its name. */
export interface ObjectStore {
  /** As it is shown. */
  readonly name: string;
  /** What is done when a cache is written there. */
  readonly title: string;
  /** The place of its layers: no name that a user may write. */
  readonly origin: string;
  /** The newest config; undefined where there is none. Errors: `invalid` for one beyond all bounds. */
  readConfig(options: AbortOptions): Promise<Uint8Array | undefined>;
  /** Makes BYTES the newest config, unless they are that already. */
  writeConfig(bytes: Uint8Array, options: AbortOptions): Promise<void>;
  has(blob: Descriptor, options: AbortOptions): Promise<boolean>;
  /** As `has`, of a blob that is to stay. */
  refresh(blob: Descriptor, options: AbortOptions): Promise<boolean>;
  /** The bytes of a blob from OFFSET on; a TransientError where they were cut off. */
  read(blob: Descriptor, offset: number, options: AbortOptions): Promise<Bytes>;
  /** Puts a blob that wasn't there. */
  write(blob: Descriptor, source: Provider, options: AbortOptions): Promise<void>;
}

/** A cache in a store of objects; single layers may be gone from it. */
export function objectSource(store: ObjectStore): CacheSource {
  const provider = providerOf(store);
  return {
    name: store.name,
    async open(options) {
      const config = await retrying(() => store.readConfig(options), RETRY_DELAYS_MS, options);
      if (!config) throw new EngineError("not-found", "there is no cache yet");
      const has = (blob: Descriptor, asking: AbortOptions) => store.has(blob, asking);
      return [{ index: openCache(config, provider), origin: store.origin, provider, lends: provider, has }];
    },
  };
}

export function objectTarget(store: ObjectStore): CacheTarget {
  const put = async (blob: Descriptor, source: Provider, options: AbortOptions) => {
    if (!(await store.refresh(blob, options))) await store.write(blob, source, options);
  };
  return {
    name: store.name,
    title: store.title,
    putBlob: (blob, source, { signal }) => put(blob, source, signal ? { signal } : {}),
    async publish({ config, parts }, options) {
      for (const { descriptor, bytes } of parts) await put(descriptor, inMemory(bytes), options);
      await store.writeConfig(config, options);
      return undefined;
    },
  };
}

/** The blobs, verified; what is cut off is asked for from there on. */
function providerOf(store: ObjectStore): Provider {
  return {
    read(target, options = {}) {
      const download = {
        sizeBytes: target.size,
        what: `fetching ${target.digest} of ${store.name}`,
        open: (position: number) => store.read(target, position, options),
      };
      return checked(target, resumed(download, RETRY_DELAYS_MS, options), options.offset);
    },
  };
}

/** Whether READ gives just BYTES; what can't be read is not the same. */
export async function isNewest(bytes: Uint8Array, read: () => Promise<Uint8Array | undefined>): Promise<boolean> {
  try {
    const known = await read();
    return known !== undefined && Buffer.compare(known, bytes) === 0;
  } catch (error) {
    if (errorCode(error) === "canceled") throw error;
    return false; // whoever writes it hears what is wrong
  }
}

/** All of CONTENT; `invalid` for more than MAX_BYTES. */
export async function readBounded(content: Bytes, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    length += chunk.length;
    if (length > maxBytes) throw new EngineError("invalid", `more than ${maxBytes} bytes of cache config`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
