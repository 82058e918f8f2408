export { type CacheMounts, cacheMountMigrations, createCacheMounts } from "./cache-mounts.js";
export type { ImageResolver, OpEnvironment, ResolvedLayers } from "./environment.js";
export { ensureTree } from "./pull.js";
export { createOp } from "./resolve.js";
export { createResult, type FileResult } from "./result.js";
