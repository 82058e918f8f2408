export * from "./clock.js";
export * from "./digest.js";
export * from "./errors.js";
export * from "./json.js";
export * from "./lazy.js";
export * from "./patterns.js";
export * from "./scope.js";
export * from "./syscalls.js";
