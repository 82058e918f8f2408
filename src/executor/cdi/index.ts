export { type DeviceRequest, deviceAllowance, grantDevices } from "./grant.js";
export { CDI_DIRECTORIES, readCdi } from "./registry.js";
export type { CdiDevice } from "./spec.js";
export { type StepDeviceNode, type StepDevices, type StepHook, stepDevices } from "./step-devices.js";
