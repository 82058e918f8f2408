export * from "./local-cache.js";
export * from "./prune.js";
export * from "./schema.js";
