/** A length of time in nanoseconds, or what is wrong with the text. */
export type DurationResult =
  | { readonly ok: true; readonly nanoseconds: number }
  | { readonly ok: false; readonly error: string };

/** Reads a Go duration: `1h2m3.5s`, `500ms`, `0`, with an optional sign. */
export function parseDuration(text: string): DurationResult {
  const invalid = { ok: false, error: `time: invalid duration ${JSON.stringify(text)}` } as const;
  const sign = text.startsWith("-") ? -1 : 1;
  const start = /^[+-]/.test(text) ? 1 : 0;
  if (text.slice(start, start + 2) === "0") return { ok: true, nanoseconds: 0 };
  if (start === text.length) return invalid;
  let nanoseconds = 0;
  for (const [, integer = "", fraction = "", unit = ""] of text.slice(start).matchAll(PART)) {
    if (integer === "" && fraction === "") return invalid;
    const size = UNITS.get(unit);
    if (unit === "") return { ok: false, error: `time: missing unit in duration ${JSON.stringify(text)}` };
    if (size === undefined) {
      return { ok: false, error: `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}` };
    }
    nanoseconds += Number(integer) * size + Math.trunc(Number(`0.${fraction || "0"}`) * size);
    if (nanoseconds >= MAX_NANOSECONDS) return invalid;
  }
  return { ok: true, nanoseconds: nanoseconds === 0 ? 0 : sign * nanoseconds };
}

/** A number and its unit; at the end of the text there is none. */
const PART = /(?!$)([0-9]*)(?:\.([0-9]*))?([^0-9.]*)/gy;

/** 2^63, where Go's durations end. */
const MAX_NANOSECONDS = 2 ** 63;

const UNITS: ReadonlyMap<string, number> = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["µs", 1e3],
  ["μs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9],
]);
