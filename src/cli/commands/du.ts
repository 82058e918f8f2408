import type { UsageEntry } from "../../engine/index.js";
import { parseEngine } from "../build-request.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { parseUsageQuery } from "../usage-filter.js";
import { usageSummary, usageText } from "../usage-text.js";
import { ambientOf } from "./engine-flags.js";

export interface DuFlags {
  readonly root?: string;
  readonly verbose?: boolean;
  readonly format?: string;
  readonly filter?: readonly string[];
}

/** `ashlar du`: what takes space, and how much of it could go. */
export async function duCommand(flags: DuFlags, surroundings: Surroundings): Promise<number> {
  if (flags.verbose && flags.format) throw new UsageError("--format and --verbose cannot be used together");
  const format = flags.verbose ? "pretty" : flags.format;
  const { filters, keepDurationMs = 0 } = await parseUsageQuery(flags.filter ?? []);
  await using engine = await surroundings.openEngine(parseEngine(flags, ambientOf(surroundings)));
  const usage = await engine.diskUsage();
  const now = surroundings.clock.now();
  const isOld = ({ lastUsedAt }: UsageEntry) => keepDurationMs === 0 || lastUsedAt <= now - keepDurationMs;
  const entries = usage.filter((entry) => isOld(entry) && filters.every((holds) => holds(entry)));
  const isWhole = filters.length === 0 && keepDurationMs === 0;
  const summary = isWhole && (format === undefined || format === "table" || format === "pretty");
  surroundings.stdout.write(usageText(entries, format, now) + (summary ? usageSummary(entries) : ""));
  return 0;
}
