export {
  type CacheMount,
  type CacheMounts,
  type CacheSharing,
  cacheMountMigrations,
  createCacheMounts,
} from "./cache-mounts.js";
export * from "./local-cache.js";
export * from "./prune.js";
export * from "./schema.js";
