export * from "./definition.js";
export * from "./op.js";
