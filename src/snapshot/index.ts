export * from "./data-plane.js";
export * from "./layer-store.js";
export * from "./owner.js";
export * from "./schema.js";
export * from "./spawn.js";
export * from "./state-dirs.js";
export * from "./tree.js";
