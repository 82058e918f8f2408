export type { ImageResolver, OpEnvironment, ResolvedLayers } from "./environment.js";
export { createOp } from "./resolve.js";
export { createResult, type FileResult } from "./result.js";
export { StepFailure } from "./step-failure.js";
