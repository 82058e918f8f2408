export type { ImageResolver, OpEnvironment, ResolvedLayers } from "./environment.js";
export { type FailedStep, Inspection } from "./inspection.js";
export { createOp } from "./resolve.js";
export { createResult, type FileResult } from "./result.js";
export { openShell, runThere, type ShellPlace, withTerminalType } from "./shell.js";
export { gitWanted } from "./source-git.js";
export { sourceTime } from "./source-time.js";
export { StepFailure } from "./step-failure.js";
export { listStepLogs } from "./step-logs.js";
