import type { EpochOverride } from "./attributes.js";

/** The time that an export goes by, in seconds: the output's own word, else the build's. */
export function effectiveEpoch(override: EpochOverride, build: number | undefined): number | undefined {
  if (override === "none") return undefined;
  return override ?? build;
}
