import type { ImageQuery } from "../engine/index.js";
import { UsageError } from "./usage-error.js";
import { parseBoolean } from "./values.js";

/** What `--filter KEY=VALUE` may name of images. */
export type ImageFilter = "reference" | "dangling" | "label" | "label!" | "before" | "since" | "until";

/** The conditions of `--filter`, given several times. NOW is in milliseconds since the epoch. Throws `UsageError`. */
export function parseImageFilters(words: readonly string[], known: readonly ImageFilter[], now: number): ImageQuery {
  const query: { -readonly [K in keyof ImageQuery]: ImageQuery[K] } = {};
  for (const word of words) {
    const [, key = "", value = ""] = /^\s*([^=!]+!?)=(.*)$/s.exec(word) ?? [];
    const filter = known.find((candidate) => candidate === key.trim().toLowerCase());
    if (key === "") throw new UsageError("invalid argument for --filter: it is KEY=VALUE");
    if (filter === undefined) throw new UsageError(`invalid filter '${key.trim()}'`);
    switch (filter) {
      case "reference":
        query.references = [...(query.references ?? []), value];
        break;
      case "dangling":
        query.dangling = parseBoolean(value, "--filter dangling");
        break;
      case "label":
        query.labels = [...(query.labels ?? []), value];
        break;
      case "label!":
        query.withoutLabels = [...(query.withoutLabels ?? []), value];
        break;
      case "before":
        query.before = [...(query.before ?? []), value];
        break;
      case "since":
        query.since = [...(query.since ?? []), value];
        break;
      case "until":
        query.until = Math.min(query.until ?? Number.POSITIVE_INFINITY, parseTime(value, now));
        break;
    }
  }
  return query;
}

const DURATION = /^(?:\d+(?:\.\d+)?(?:h|m|s|ms))+$/;
const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** A duration before NOW (`24h`, `1h30m`), seconds since the epoch, or a date as RFC 3339 has it, whole or its beginning. */
function parseTime(text: string, now: number): number {
  if (DURATION.test(text)) {
    const parts = text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g);
    return now - [...parts].reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNITS_MS[unit] ?? 0), 0);
  }
  if (/^\d+(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  const time = /^\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError(`invalid value ${JSON.stringify(text)} for until: it is 24h, or a time`);
  return time;
}
