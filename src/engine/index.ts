import { createEngine } from "./engine.js";
import type { BuildRequest, BuildResult, EngineOptions } from "./request.js";

export { EngineError, type ErrorCode } from "../base/index.js";
export type { StepResources } from "../executor/index.js";
export type { ProgressEvent } from "../progress/index.js";
export { createEngine } from "./engine.js";
export { type LoginRequest, login, logout } from "./registries.js";
export * from "./request.js";

/** One build with an engine of its own, opened before and closed after it. */
export async function build(request: BuildRequest, options: EngineOptions = {}): Promise<BuildResult> {
  await using engine = await createEngine(options);
  return await engine.build(request);
}
