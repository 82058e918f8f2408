import type { TarPath } from "./entry.js";

/** One record: its own length in decimal, a blank, KEY=VALUE and a newline (POSIX pax, "Extended Header"). */
export function formatRecord(key: string, value: Uint8Array): Uint8Array {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, "latin1"), value, NEWLINE]);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

const NEWLINE = Buffer.from("\n");
const NANOSECONDS_PER_SECOND = 1_000_000_000n;
const FRACTION_DIGITS = 9;

/** Nanoseconds as decimal seconds, without needless zeros. */
export function formatTime(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % NANOSECONDS_PER_SECOND)
    .padStart(FRACTION_DIGITS, "0")
    .replace(/0+$/, "");
  return `${ns < 0n ? "-" : ""}${size / NANOSECONDS_PER_SECOND}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Decimal seconds as nanoseconds (digits past the ninth are cut); undefined for anything else. */
export function parseTime(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (!match) return undefined;
  const [, sign, seconds = "", fraction = ""] = match;
  const ns =
    BigInt(seconds) * NANOSECONDS_PER_SECOND + BigInt(fraction.slice(0, FRACTION_DIGITS).padEnd(FRACTION_DIGITS, "0"));
  return sign === "-" ? -ns : ns;
}

/** The records of a PAX header in their order, keys and values as binary strings; undefined where it is malformed. */
export function parseRecords(data: Uint8Array): [key: string, value: TarPath][] | undefined {
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString("latin1");
  const records: [string, TarPath][] = [];
  let at = 0;
  while (at < text.length) {
    const blank = text.indexOf(" ", at);
    const digits = blank < 0 ? "" : text.slice(at, blank);
    if (!/^\d{1,9}$/.test(digits)) return undefined;
    const end = at + Number(digits);
    const equals = text.indexOf("=", blank);
    if (end > text.length || text[end - 1] !== "\n" || equals < 0 || equals >= end || equals === blank + 1)
      return undefined;
    records.push([text.slice(blank + 1, equals), text.slice(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}
