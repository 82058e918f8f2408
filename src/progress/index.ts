export { sourceExcerpt } from "./ending.js";
export * from "./event.js";
export { formatBytes } from "./format.js";
export * from "./plain.js";
export * from "./quiet.js";
export * from "./rawjson.js";
export * from "./renderer.js";
export * from "./tty.js";
