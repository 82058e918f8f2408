export {
  type CacheMount,
  type CacheMounts,
  type CacheSharing,
  cacheMountKey,
  cacheMountMigrations,
  createCacheMounts,
  importedMountKey,
  type StoredCacheMount,
  shownCacheMountId,
} from "./cache-mounts.js";

import type { BuildHistory, BuildHistoryOptions } from "./history/history.js";

export type { BuildEnd, BuildHistory, BuildHistoryOptions, StageOutline } from "./history/history.js";
export type { DraftDerivation, DraftInput, DraftVariable, SourceNote, StepDraft } from "./history/node.js";
export type { RecordedStep, StepComparison } from "./history/recorded.js";
export { recallBuild } from "./history/remembered.js";
export type { BuildPlace } from "./history/runs.js";
export { historyMigrations } from "./history/schema.js";
export * from "./local-cache.js";

export * from "./policy.js";
export * from "./prune.js";
export * from "./schema.js";
export { createStepLocks } from "./step-locks.js";
export { readRecords, type StoredRecord } from "./stored-records.js";
export { buryRecords } from "./tombstones.js";
export * from "./usage.js";

/** The history beside one build. Loaded when a step runs: a build in which nothing does, does without. */
export async function openBuildHistory(options: BuildHistoryOptions): Promise<BuildHistory> {
  return (await import("./history/history.js")).openBuildHistory(options);
}
