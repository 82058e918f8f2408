/** A count of bytes: `64`, `8m`, `1.5GiB`. Units are powers of 1024; undefined for what is none. */
export function bytesOf(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d{1,16}(?:\.\d{1,9})?) ?([kmgtp]?)i?b?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(amount) * 1024 ** " kmgtp".indexOf(unit.toLowerCase() || " "));
  return amount !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A duration as Go writes them (`48h`, `1h30m`), or seconds; in milliseconds. Undefined for what is none. */
export function durationOf(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000;
  if (!/^(?:\d{1,10}(?:\.\d{1,9})?(?:h|ms|m|s))+$/.test(text)) return undefined;
  const parts = text.matchAll(/([\d.]+)(h|ms|m|s)/g);
  return [...parts].reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNITS_MS[unit] ?? 0), 0);
}

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
