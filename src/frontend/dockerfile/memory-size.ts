/**
 * A size such as `10m` or `1.5 GiB`, in units of 1024, in bytes; undefined for what is none. As Docker's go-units reads it:
 * the last digit, point or blank ends the number, which may have a sign and an exponent.
 */
export function parseMemorySize(text: string): number | undefined {
  const [, number = "", suffix = ""] = /^(.*[0-9. ])([^0-9. ]*)$/s.exec(text) ?? [];
  const unit = SUFFIX.exec(suffix);
  const written = number.replace(/ $/, "");
  if (!unit || !NUMBER.test(written)) return undefined;
  const bytes = Math.trunc(Number(written) * 1024 ** UNITS.indexOf(unit[1]?.toLowerCase() ?? "b"));
  return bytes < MAX_BYTES ? Math.abs(bytes) : undefined;
}

const NUMBER = /^(\+?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|-0+)$/i;

/** Bytes are a `b` or nothing; the others may be `k`, `kb` or `kib`. */
const SUFFIX = /^(?:b?|([kmgtp])(?:i?b)?)$/i;

/** 2^63, where Go's sizes end. */
const MAX_BYTES = 2 ** 63;

/** Each 1024 times the one before. */
const UNITS = "bkmgtp";
