export type { StepDevices } from "./cdi/index.js";
export { type Cgroups, readCgroups } from "./cgroups.js";
export { checkDevices, devicesFor } from "./devices.js";
export { type Emulation, emulationHint } from "./emulation.js";
export { HOST_GATEWAY } from "./etc-files.js";
export type {
  Executor,
  Exit,
  RunOptions,
  StepMount,
  StepMountFlag,
  StepProcess,
  StepResources,
  Terminal,
} from "./executor.js";
export { exitMessage } from "./failure.js";
export type { NetworkMode } from "./network.js";
export { createNetworks, type Networks, type NetworksOptions, sweepNetworks } from "./networks.js";
export { findProgram, requireProgram } from "./programs.js";
export { runtimeRunner, type SandboxPrograms, type StepRunner, sandboxRunner } from "./runner.js";
export { findRuntime, type Runtime, type RuntimeSearch } from "./runtime.js";
export { stubPaths } from "./spec-mounts.js";
export { createExecutor, type StepExecutorOptions } from "./step-executor.js";
export { sweepExecutor } from "./sweep.js";
