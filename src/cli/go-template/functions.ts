import { goText, goValueJson, isTrue } from "./go-value.js";

/** A function of templates; it throws an `Error` with a sentence where its arguments don't fit. */
export type TemplateFunction = (...args: readonly unknown[]) => unknown;

/** Go's own functions and those that docker adds. */
export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => goValueJson(value),
  prettyjson: (value) => goValueJson(value, 4),
  join: (list, separator = "") => texts(list).join(goText(separator)),
  split: (text, separator) => string(text).split(string(separator)),
  upper: (text) => string(text).toUpperCase(),
  lower: (text) => string(text).toLowerCase(),
  title: (text) => string(text).replace(/(^|\s)\S/g, (start) => start.toUpperCase()),
  trim: (text) => string(text).trim(),
  println: (...args) => `${args.map(goText).join(" ")}\n`,
  print: (...args) => args.map(goText).join(""),
  printf: (format, ...args) => formatted(string(format), args),
  pad: (text, before, after) => padded(string(text), number(before), number(after)),
  truncate: (text, length) => Array.from(string(text)).slice(0, number(length)).join(""),
  len: (value) => lengthOf(value),
  index: (value, ...keys) => keys.reduce(entryOf, value),
  slice: (value, from = 0, to = undefined) => sliceOf(value, number(from), to === undefined ? undefined : number(to)),
  not: (value) => !isTrue(value),
  and: (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1),
  or: (...args) => args.find(isTrue) ?? args.at(-1),
  eq: (first, ...others) => others.some((other) => first === other),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
};

/** Characters that `pad` may add on one side. */
const PAD_MAX = 4096;

function string(value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`expected string; found ${goText(value)}`);
}

function number(value: unknown): number {
  if (typeof value === "number") return value;
  throw new Error(`expected integer; found ${goText(value)}`);
}

function texts(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map(goText);
  throw new Error(`expected a list; found ${goText(value)}`);
}

function padded(text: string, before: number, after: number): string {
  if (text === "") return text;
  return " ".repeat(Math.min(Math.max(before, 0), PAD_MAX)) + text + " ".repeat(Math.min(Math.max(after, 0), PAD_MAX));
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (value === undefined || value === null) return 0;
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  throw new Error(`len of type ${typeof value}`);
}

function entryOf(value: unknown, key: unknown): unknown {
  if (value === undefined || value === null) return "";
  if (value instanceof Map) return value.get(goText(key)) ?? "";
  if (Array.isArray(value)) {
    const place = number(key);
    if (place < 0 || place >= value.length) throw new Error(`error calling index: index out of range: ${place}`);
    return value[place];
  }
  if (typeof value === "object" && Object.hasOwn(value, goText(key)))
    return (value as Readonly<Record<string, unknown>>)[goText(key)];
  throw new Error(`can't index ${goText(value)} with ${goText(key)}`);
}

function sliceOf(value: unknown, from: number, to: number | undefined): unknown {
  if (typeof value === "string" || Array.isArray(value)) {
    if (from < 0 || from > value.length || (to ?? 0) > value.length) throw new Error("slice: index out of range");
    return value.slice(from, to);
  }
  throw new Error(`can't slice ${goText(value)}`);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  throw new Error("incompatible types for comparison");
}

function formatted(format: string, args: readonly unknown[]): string {
  let next = 0;
  const shown = format.replace(
    /%(-?\d*)(?:\.(\d+))?([svdqtxf%])/g,
    (_, width: string, digits: string, verb: string) => {
      if (verb === "%") return "%";
      const text = next < args.length ? verbText(verb, args[next++], digits) : `%!${verb}(MISSING)`;
      const places = Math.min(Math.abs(Number(width) || 0), PAD_MAX);
      return width.startsWith("-") ? text.padEnd(places) : text.padStart(places);
    },
  );
  return shown;
}

function verbText(verb: string, value: unknown, digits: string | undefined): string {
  if (verb === "q") return JSON.stringify(goText(value));
  if (verb === "f") return number(value).toFixed(digits === undefined ? 6 : Math.min(Number(digits), 20));
  if (verb === "x") return typeof value === "number" ? value.toString(16) : Buffer.from(goText(value)).toString("hex");
  return digits !== undefined && verb === "s" ? goText(value).slice(0, Number(digits)) : goText(value);
}
