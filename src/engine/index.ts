import { createEngine } from "./engine.js";
import type { BuildRequest, EngineOptions } from "./request.js";
import type { BuildResult } from "./result.js";

export {
  type AttributedCause,
  type CausingStep,
  EngineError,
  type ErrorCode,
  type FileDifference,
  type Miss,
  type MissCause,
  type RecordLoss,
} from "../base/index.js";
export {
  parseUsageFilter,
  type RecordedStep,
  type SizeBound,
  type UsageEntry,
  type UsageFilter,
} from "../cache/index.js";
export type { StepResources, Terminal } from "../executor/index.js";
export type { ProgressEvent } from "../progress/index.js";
export type { CacheMountInfo, ExportMountRequest, ImportMountRequest, LocalCacheMounts } from "./cache-mount-tools.js";
export { createEngine } from "./engine.js";
export type { FailedContainer } from "./failed-container.js";
export type { ImageReport, ListedManifest, ReportDetail, ReportedImage } from "./image-report.js";
export * from "./image-requests.js";
export {
  type CreatedImage,
  type CreateImageRequest,
  createImage,
  type InspectImageRequest,
  inspectImage,
} from "./image-tools.js";
export { describeListEntry, type ListEntry } from "./manifest-list-store.js";
export {
  type InspectedManifest,
  type ManifestLists,
  type ManifestOptions,
  openManifestLists,
  type PlatformChange,
  type PushedList,
} from "./manifest-lists.js";
export type { PruneRequest, PruneResult } from "./prune.js";
export { type LoginRequest, login, logout } from "./registries.js";
export * from "./request.js";
export * from "./result.js";
export type { ShellPlaceName, ShellRequest } from "./shell.js";
export { type SignRequest, type SignResult, signImages } from "./signing.js";
export type { StoreFault } from "./verify.js";

/** One build with an engine of its own, opened before and closed after it. */
export async function build(request: BuildRequest, options: EngineOptions = {}): Promise<BuildResult> {
  const { signal, onProgress } = request;
  await using engine = await createEngine({ signal, onProgress, ...options });
  return await engine.build(request);
}
