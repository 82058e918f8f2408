import type { StepResources } from "../engine/index.js";
import type { BuildFlags } from "./build-flags.js";
import { UsageError } from "./usage-error.js";
import { parseBytes } from "./values.js";

/**
 * The bounds of steps: `--resource KEY=VALUE` in the order given, after the flags that docker build had before (`--memory` …). Zero, and
 * for a CPU quota -1, is no bound. Undefined: there are none.
 */
export function parseResources(flags: BuildFlags): StepResources | undefined {
  const old = Object.entries(OLD_FLAGS).flatMap(([flag, key]) => {
    const value = flags[flag as keyof typeof OLD_FLAGS];
    return value === undefined ? [] : [`${key}=${value}`];
  });
  const all = [...old, ...(flags.resource ?? [])].map(parseEntry);
  const bounds = Object.entries(Object.assign({}, ...all)).filter(([, value]) => value !== 0 && value !== "");
  return bounds.length === 0 ? undefined : Object.fromEntries(bounds);
}

const OLD_FLAGS = {
  memory: "memory",
  memorySwap: "memory-swap",
  cpuShares: "cpu-shares",
  cpuPeriod: "cpu-period",
  cpuQuota: "cpu-quota",
  cpusetCpus: "cpuset-cpus",
  cpusetMems: "cpuset-mems",
} as const;

function parseEntry(entry: string): StepResources {
  const equals = entry.indexOf("=");
  if (equals < 0) throw new UsageError(`invalid resource ${JSON.stringify(entry)}, expected key=value`);
  const key = entry.slice(0, equals).trim();
  const value = entry.slice(equals + 1).trim();
  const flag = `resource ${key}`;
  switch (key) {
    case "memory":
      return { memoryBytes: parseBytes(value, flag) };
    case "memory-swap":
      return { memorySwapBytes: value === "-1" ? -1 : parseBytes(value, flag) };
    case "cpu-shares":
      return { cpuShares: parseNumber(value, flag) };
    case "cpu-period":
      return { cpuPeriod: parseNumber(value, flag) };
    case "cpu-quota":
      return { cpuQuota: value === "-1" ? 0 : parseNumber(value, flag) };
    case "cpuset-cpus":
      return { cpusetCpus: parseSet(value, flag) };
    case "cpuset-mems":
      return { cpusetMems: parseSet(value, flag) };
    default:
      throw new UsageError(`unknown resource ${JSON.stringify(key)}: there are ${Object.values(OLD_FLAGS).join(", ")}`);
  }
}

function parseNumber(text: string, flag: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is a whole number`);
}

/** The highest number of a CPU or a memory node. */
const SET_MAX = 8192;

/** `0-3,7`. */
function parseSet(text: string, flag: string): string {
  const parts = text.split(",").map((part) => part.trim());
  for (const part of parts.filter((each) => each !== "")) {
    const [, low = "", high = low] = /^(\d+)(?: *- *(\d+))?$/.exec(part) ?? [];
    if (low === "" || Number(high) < Number(low) || Number(high) > SET_MAX)
      throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is a list such as 0-3,7`);
  }
  return parts.filter((part) => part !== "").join(",");
}
