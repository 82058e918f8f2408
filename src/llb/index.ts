export * from "./definition.js";
export * from "./op.js";
export * from "./state.js";
