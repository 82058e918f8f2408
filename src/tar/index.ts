export * from "./encode.js";
export * from "./entry.js";
export * from "./limits.js";
export * from "./parser.js";
export * from "./whiteout.js";
