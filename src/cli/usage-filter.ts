import { parseUsageFilter, type UsageFilter } from "../engine/index.js";
import { UsageError } from "./usage-error.js";
import { parseDuration } from "./values.js";

/** What `--filter` of `du` and `prune` says. */
export interface UsageQuery {
  readonly filters: readonly UsageFilter[];
  /** Milliseconds; undefined: however lately it was used. */
  readonly keepDurationMs: number | undefined;
}

/** The conditions of `--filter`, given several times, as buildx reads them. Throws UsageError. */
export function parseUsageQuery(words: readonly string[]): UsageQuery {
  const filters: UsageFilter[] = [];
  let keepDurationMs: number | undefined;
  for (const word of words) {
    const [, key = "", value = ""] = /^\s*([^=!~]+)(?:[=](.*))?$/s.exec(word) ?? [];
    if (UNTIL.has(key.trim())) {
      if (keepDurationMs !== undefined) throw new UsageError(`"${key.trim()}" filter expects only one value`);
      keepDurationMs = parseDuration(value, `--filter ${key.trim()}`);
    } else filters.push(parsed(key.trim() === "id" ? `id~=${value}` : word));
  }
  return { filters, keepDurationMs };
}

const UNTIL: ReadonlySet<string> = new Set(["until", "unused-for"]);

function parsed(text: string): UsageFilter {
  try {
    return parseUsageFilter(text);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
