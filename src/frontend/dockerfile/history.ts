import type { Healthcheck, HistoryEntry } from "../../oci/index.js";
import { quote } from "./quote.js";

/** Marks entries made from a Dockerfile, as BuildKit does, so that tools know them. */
const COMMENT = "buildkit.dockerfile.v0";
const LAYER_SUFFIX = " # buildkit";
const NANOSECONDS_PER_SECOND = 1e9;
const NANOSECOND_DIGITS = 9;

/** What an instruction did: `settings` changed only the config, `directory` made a layer that says nothing of its maker. */
export type Effect = "settings" | "directory" | "layer";

/** The history entry of an instruction shown as TEXT. It has a time only where the build fixes one (SOURCE_DATE_EPOCH). */
export function historyEntry(text: string, effect: Effect, epoch: Date | undefined): HistoryEntry {
  const created_by = effect === "layer" ? text + LAYER_SUFFIX : text;
  const entry =
    effect === "settings" ? { created_by, comment: COMMENT, empty_layer: true } : { created_by, comment: COMMENT };
  return epoch === undefined ? entry : { created: goTime(epoch.toISOString()), ...entry };
}

/** A time of RFC 3339 as Go writes it again once it has read it; what is none stays as it is. */
export function goTime(text: string): string {
  const [, seconds, digits = "", zone = ""] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  if (seconds === undefined) return text;
  const fraction = digits.slice(0, NANOSECOND_DIGITS).replace(/0+$/, "");
  return seconds + (fraction === "" ? "" : `.${fraction}`) + zone.replace(/^[+-]00:00$/, "Z");
}

/** Words as Go prints a list of strings: `[a b]`. */
export function plainList(words: readonly string[]): string {
  return `[${words.join(" ")}]`;
}

/** Words as Go prints a list of quoted strings: `["a" "b"]`. */
export function quotedList(words: readonly string[]): string {
  return plainList(words.map(quote));
}

/** A health check as Go prints its struct: `{Test:[CMD a] Interval:5s … Retries:2}`. */
export function healthcheckText(check: Healthcheck): string {
  const fields = [
    `Test:${plainList(check.Test ?? [])}`,
    `Interval:${durationText(check.Interval ?? 0)}`,
    `Timeout:${durationText(check.Timeout ?? 0)}`,
    `StartPeriod:${durationText(check.StartPeriod ?? 0)}`,
    `StartInterval:${durationText(check.StartInterval ?? 0)}`,
    `Retries:${check.Retries ?? 0}`,
  ];
  return `{${fields.join(" ")}}`;
}

/** A duration in nanoseconds, not negative, as Go prints it: `1h2m3.5s`, `100ms`. */
function durationText(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${fraction(nanoseconds, 1e3)}µs`;
  if (nanoseconds < NANOSECONDS_PER_SECOND) return `${fraction(nanoseconds, 1e6)}ms`;
  const minutes = Math.floor(nanoseconds / (60 * NANOSECONDS_PER_SECOND));
  const seconds = `${fraction(nanoseconds - minutes * 60 * NANOSECONDS_PER_SECOND, NANOSECONDS_PER_SECOND)}s`;
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

function fraction(nanoseconds: number, unit: number): string {
  const whole = Math.floor(nanoseconds / unit);
  const digits = String(nanoseconds - whole * unit)
    .padStart(Math.log10(unit), "0")
    .replace(/0+$/, "");
  return digits === "" ? String(whole) : `${whole}.${digits}`;
}
