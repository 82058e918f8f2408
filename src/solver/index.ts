export * from "./cache-manager.js";
export * from "./job.js";
export * from "./op.js";
export * from "./vertex.js";
