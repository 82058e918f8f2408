import { type AbortOptions, type Clock, type Digest, digestOf, errorCode } from "../../base/index.js";
import type { HttpClient } from "../../registry/index.js";
import { CACHE_CONFIG_BYTES_MAX, CACHE_CONFIG_TYPE } from "../document.js";
import { isNewest, type ObjectStore, readBounded } from "../object-place.js";
import { inMemory } from "../registry-place.js";
import { Bucket, type StoredObject } from "./bucket.js";
import type { Signer } from "./signature.js";

/** Where in S3 a cache is. */
export interface S3Place extends Signer {
  readonly bucket: string;
  readonly endpoint?: URL | undefined;
  readonly pathStyle: boolean;
  /** Before all keys; before those of configs; before those of blobs. */
  readonly prefix: string;
  readonly manifestsPrefix: string;
  readonly blobsPrefix: string;
  /** What the cache is called; the first is read, all are written. */
  readonly names: readonly [string, ...string[]];
  /** Blobs that are older are made young again, in milliseconds. */
  readonly touchAfterMs: number;
}

/** A bucket of S3. Single blobs may be gone, if the bucket forgets old ones. */
export function s3Store(place: S3Place, parts: { readonly client: HttpClient; readonly clock: Clock }): ObjectStore {
  const bucket = new Bucket({ ...place, ...parts });
  const { prefix, manifestsPrefix, blobsPrefix, names } = place;
  const configKey = (name: string) => `${prefix}${manifestsPrefix}${name}`;
  const blobKey = (digest: Digest) => `${prefix}${blobsPrefix}${digest}`;
  const where = `${place.endpoint?.host ?? "s3"}/${place.bucket}/${prefix}`;
  const readConfig = async (name: string, options: AbortOptions): Promise<Uint8Array | undefined> => {
    try {
      const response = await bucket.get(configKey(name), 0, options);
      return await readBounded(response.body, CACHE_CONFIG_BYTES_MAX);
    } catch (error) {
      if (errorCode(error) === "not-found") return undefined;
      throw error;
    }
  };
  const isAged = ({ modifiedAt }: StoredObject) => parts.clock.now() - modifiedAt > place.touchAfterMs;
  const isYoung = async (name: string, options: AbortOptions): Promise<boolean> => {
    const found = await bucket.head(configKey(name), options);
    return found !== undefined && !isAged(found);
  };
  return {
    name: `s3:${place.bucket}/${prefix}${names[0]}`,
    title: "exporting cache to Amazon S3",
    origin: `s3-cache://${where}`,
    readConfig: (options) => readConfig(names[0], options),
    async writeConfig(bytes, options) {
      const config = { mediaType: CACHE_CONFIG_TYPE, digest: digestOf(bytes), size: bytes.length };
      for (const name of names)
        if (!(await isYoung(name, options)) || !(await isNewest(bytes, () => readConfig(name, options))))
          await bucket.put(configKey(name), config, inMemory(bytes), options);
    },
    async has({ digest, size }, options) {
      return (await bucket.head(blobKey(digest), options))?.sizeBytes === size;
    },
    async refresh({ digest, size }, options) {
      const found = await bucket.head(blobKey(digest), options);
      if (found?.sizeBytes !== size) return false;
      if (isAged(found)) await bucket.touch(blobKey(digest), found, options);
      return true;
    },
    async read({ digest }, offset, options) {
      return (await bucket.get(blobKey(digest), offset, options)).body;
    },
    write: ({ digest, ...blob }, source, options) => bucket.put(blobKey(digest), { ...blob, digest }, source, options),
  };
}
