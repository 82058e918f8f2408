export * from "./diagnostic-error.js";
export * from "./dockerfile/index.js";
export * from "./frontend.js";
