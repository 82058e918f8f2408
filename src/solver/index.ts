export type { AccountedInput, VertexAccount, VertexState } from "./account.js";
export * from "./cache-manager.js";
export * from "./job.js";
export * from "./op.js";
export * from "./step-locks.js";
export { Undecided } from "./undecided.js";
export * from "./vertex.js";
