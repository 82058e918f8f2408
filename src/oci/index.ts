export * from "./descriptor.js";
export * from "./image-config.js";
export * from "./platform.js";
