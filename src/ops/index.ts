export { createCacheMounts, type CacheMounts, cacheMountMigrations } from "./cache-mounts.js";
export { type ImageResolver, type OpEnvironment, type ResolvedLayers } from "./environment.js";
export { createOp } from "./resolve.js";
export { ensureTree } from "./pull.js";
export { createResult, type FileResult } from "./result.js";
