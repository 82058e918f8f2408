export { bounded } from "./bounded.js";
export { type CacheExport, createCacheExport, type MountFile } from "./export.js";
export { ghaStore } from "./gha/gha-store.js";
export { withInlineCache } from "./inline.js";
export { localSource, localTarget } from "./local-place.js";
export { objectSource, objectTarget } from "./object-place.js";
export {
  type CacheDestination,
  type CacheForm,
  type CacheImport,
  type CacheSpec,
  cacheOptions,
  parseCacheDestination,
  parseCacheImport,
} from "./options.js";
export type { CacheSource, CacheTarget, OpenedCache } from "./place.js";
export { registrySource, registryTarget } from "./registry-place.js";
export { createRemoteCache, type RemoteCache } from "./remote-cache.js";
export { s3Store } from "./s3/s3-store.js";
