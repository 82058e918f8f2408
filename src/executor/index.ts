export { type Cgroups, readCgroups } from "./cgroups.js";
export type { Executor, Exit, RunOptions, StepMount, StepMountFlag, StepProcess, StepResources } from "./executor.js";
export { exitMessage } from "./failure.js";
export { findProgram, requireProgram } from "./programs.js";
export { runtimeRunner, type SandboxPrograms, type StepRunner, sandboxRunner } from "./runner.js";
export { findRuntime, type Runtime, type RuntimeSearch } from "./runtime.js";
export { stubPaths } from "./spec-mounts.js";
export { createExecutor, type StepExecutorOptions } from "./step-executor.js";
export { sweepExecutor } from "./sweep.js";
