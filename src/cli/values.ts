import { isIP } from "node:net";
import { bytesOf, durationOf } from "../base/index.js";
import type { SizeBound } from "../engine/index.js";
import { UsageError } from "./usage-error.js";

/** The fields of a comma-separated value with Go's csv quoting: `"a,b",c`. */
export function parseCsv(text: string): readonly string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const match = text.startsWith('"', at) ? QUOTED_FIELD.exec(text.slice(at)) : PLAIN_FIELD.exec(text.slice(at));
    if (!match) throw new UsageError(`can't read ${JSON.stringify(text)}: a quote is out of place`);
    fields.push(match[1] === undefined ? match[0] : match[1].replaceAll('""', '"'));
    at += match[0].length;
    if (at >= text.length) return fields;
    at++;
  }
}

const QUOTED_FIELD = /^"((?:[^"]|"")*)"(?=,|$)/;
const PLAIN_FIELD = /^[^",]*(?=,|$)/;

/** `key=value` fields; keys in lower case. NOUN names what is being read. */
export function parseFields(text: string, noun: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const field of parseCsv(text)) {
    const equals = field.indexOf("=");
    if (equals < 0)
      throw new UsageError(`invalid ${noun} ${JSON.stringify(text)}: field '${field}' must be a key=value pair`);
    fields.set(field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1));
  }
  return fields;
}

/** `key=value` words; a word without `=` has the value that WITHOUT gives, or is left out. Later words win. */
export function parsePairs(
  words: readonly string[],
  noun: string,
  without: (key: string) => string | undefined,
): Readonly<Record<string, string>> {
  const pairs = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const key = equals < 0 ? word : word.slice(0, equals);
    if (key === "") throw new UsageError(`invalid ${noun} ${JSON.stringify(word)}: it has no name`);
    const value = equals < 0 ? without(key) : word.slice(equals + 1);
    if (value === undefined) pairs.delete(key);
    else pairs.set(key, value);
  }
  return Object.fromEntries(pairs);
}

/** A truth value as Go's flags take them. */
export function parseBoolean(text: string, flag: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is true or false`);
}

/** A count of bytes: `64`, `8m`, `1.5GiB`. Units are powers of 1024. */
export function parseBytes(text: string, flag: string): number {
  const bytes = bytesOf(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is a size such as 64m`);
}

/** Bytes, or a share of the disk: `20gb`, `10%`. */
export function parseSizeBound(text: string, flag: string): SizeBound {
  const [, share] = /^(\d{1,3})%$/.exec(text) ?? [];
  if (share !== undefined && Number(share) <= 100) return { percent: Number(share) };
  const bytes = bytesOf(text);
  if (bytes !== undefined) return { bytes };
  throw new UsageError(
    `invalid value ${JSON.stringify(text)} for ${flag}: it is a size such as 20gb, or 10% of the disk`,
  );
}

/** A duration as Go writes them (`48h`, `1h30m`), or seconds; in milliseconds. */
export function parseDuration(text: string, flag: string): number {
  const ms = durationOf(text);
  if (ms !== undefined) return ms;
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is a duration such as 24h`);
}

/** A positive whole number. */
export function parseCount(text: string, flag: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1) {
    throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is a number from 1`);
  }
  return count;
}

/** One of CHOICES. */
export function parseChoice<T extends string>(text: string, flag: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) {
    throw new UsageError(`invalid value ${JSON.stringify(text)} for ${flag}: it is one of ${choices.join(", ")}`);
  }
  return choice;
}

/** `HOST:IP[,IP…]` or `HOST=IP[,IP…]`, an address perhaps in brackets, or `host-gateway`: a line for each. */
export function parseExtraHosts(text: string): readonly { readonly host: string; readonly ip: string }[] {
  const [, host, addresses = ""] = /^([^=:]+)[=:](.+)$/.exec(text) ?? [];
  if (host === undefined) throw new UsageError(`invalid value ${JSON.stringify(text)} for --add-host: it is HOST:IP`);
  return addresses.split(",").map((address) => {
    if (address === "host-gateway") return { host, ip: address };
    const ip = address.replace(/^\[(.*)\]$/, "$1");
    if (isIP(ip) === 0) throw new UsageError(`invalid IP address ${JSON.stringify(address)} for --add-host`);
    return { host, ip };
  });
}

/** `NAME=SOFT[:HARD]`; -1 is no limit. */
export function parseUlimit(text: string): { readonly name: string; readonly soft: number; readonly hard: number } {
  const [, name = "", softText = "", hardText = softText] = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(text) ?? [];
  if (name === "") throw new UsageError(`invalid value ${JSON.stringify(text)} for --ulimit: it is NAME=SOFT[:HARD]`);
  if (!ULIMITS.has(name)) throw new UsageError(`invalid ulimit type: ${name}`);
  const [soft, hard] = [Number(softText), Number(hardText)];
  if (!Number.isSafeInteger(soft) || !Number.isSafeInteger(hard)) throw new UsageError(`ulimit ${name} is too large`);
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw new UsageError(`ulimit soft limit must be less than or equal to hard limit: ${softText} > ${hardText}`);
  }
  return { name, soft, hard };
}

const ULIMITS = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "),
);
