export * from "./local-cache.js";
export * from "./schema.js";
