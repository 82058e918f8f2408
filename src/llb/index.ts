export * from "./definition.js";
export { dumpLines } from "./dump.js";
export * from "./op.js";
export * from "./state.js";
export { type WireGraph, type WireOp, wireGraph } from "./wire.js";
export { definitionBytes, type SourceText } from "./wire-definition.js";
