export * from "./event.js";
export { sourceExcerpt } from "./excerpt.js";
export { formatBytes } from "./format.js";
export * from "./plain.js";
export * from "./quiet.js";
export * from "./rawjson.js";
export * from "./renderer.js";
export * from "./tty.js";
