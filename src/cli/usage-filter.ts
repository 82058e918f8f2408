import { errorCode, messageOf } from "../base/index.js";
import type { UsageFilter } from "../engine/index.js";
import { UsageError } from "./usage-error.js";
import { parseDuration } from "./values.js";

/** What `--filter` of `du` and `prune` says. */
export interface UsageQuery {
  readonly filters: readonly UsageFilter[];
  /** Milliseconds; undefined: however lately it was used. */
  readonly keepDurationMs: number | undefined;
}

/** The conditions of `--filter`, given several times, as buildx reads them. Throws UsageError. */
export async function parseUsageQuery(words: readonly string[]): Promise<UsageQuery> {
  const filters: UsageFilter[] = [];
  let keepDurationMs: number | undefined;
  for (const word of words) {
    const [, key = "", value = ""] = /^\s*([^=!~]+)(?:[=](.*))?$/s.exec(word) ?? [];
    if (UNTIL.has(key.trim())) {
      if (keepDurationMs !== undefined) throw new UsageError(`"${key.trim()}" filter expects only one value`);
      keepDurationMs = parseDuration(value, `--filter ${key.trim()}`);
    } else filters.push(await parsed(key.trim() === "id" ? `id~=${value}` : word));
  }
  return { filters, keepDurationMs };
}

const UNTIL: ReadonlySet<string> = new Set(["until", "unused-for"]);

async function parsed(text: string): Promise<UsageFilter> {
  const { parseUsageFilter } = await import("../engine/index.js");
  try {
    return parseUsageFilter(text);
  } catch (error) {
    if (errorCode(error) !== "invalid") throw error;
    throw new UsageError(messageOf(error));
  }
}
