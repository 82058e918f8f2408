export * from "./state-dirs.js";
export * from "./tree.js";
