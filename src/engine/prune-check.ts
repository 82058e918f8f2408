import { EngineError } from "../base/index.js";
import { parseUsageFilter, type UsageFilter } from "../cache/index.js";
import type { PruneRequest } from "./prune.js";

/** The conditions of a request, which may be texts. Throws `invalid`, also for what a caller without types may have sent. */
export function checkPrune(request: PruneRequest): readonly UsageFilter[] {
  for (const [name, value] of Object.entries(request)) {
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name as keyof PruneRequest] : undefined;
    if (option === undefined) {
      const hint = `there are ${Object.keys(OPTIONS).join(", ")}`;
      throw new EngineError("invalid", `prune has no option ${JSON.stringify(name)}`, { hint });
    }
    const [what, fits] = option;
    if (value !== undefined && !fits(value))
      throw new EngineError("invalid", `the option ${name} of prune must be ${what}`);
  }
  const { filters = [] } = request;
  return filters.map((filter) => (typeof filter === "string" ? parseUsageFilter(filter) : filter));
}

type Fits = (value: unknown) => boolean;

const isNumber: Fits = (value) => typeof value === "number" && !Number.isNaN(value);
const isShare: Fits = (value) =>
  typeof value === "object" &&
  value !== null &&
  Object.entries(value).every(([name, part]) => SHARES.includes(name) && isNumber(part));
const SHARES = ["percent", "bytes"];

const FLAG = ["a boolean", (value: unknown) => typeof value === "boolean"] as const;
const BOUND = ["a number of bytes, or { percent }", (value: unknown) => isNumber(value) || isShare(value)] as const;

const OPTIONS: Readonly<Record<keyof PruneRequest, readonly [what: string, fits: Fits]>> = {
  all: FLAG,
  filters: [
    "a list of functions, or of conditions as texts",
    (value) => Array.isArray(value) && value.every((each) => ["function", "string"].includes(typeof each)),
  ],
  keepDurationMs: ["a number of milliseconds", isNumber],
  reservedBytes: BOUND,
  maxUsedBytes: BOUND,
  minFreeBytes: BOUND,
  dryRun: FLAG,
  signal: ["an AbortSignal", (value) => typeof value === "object" && value !== null && "aborted" in value],
};
