import { EngineError } from "../base/index.js";
import { checksumOf, FIELD, type Field, USTAR_MAGIC } from "./block.js";
import {
  completeHeader,
  type TarEntry,
  type TarEntryType,
  type TarHeader,
  type TarPath,
  XATTR_RECORD_PREFIX,
} from "./entry.js";
import { BLOCK_BYTES, META_MAX_BYTES } from "./limits.js";
import { formatRecord, formatTime } from "./pax.js";

/** What ends an archive: two blocks of zeros. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * BLOCK_BYTES);

/** How many zero bytes follow a body of SIZE bytes. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/**
 * The header blocks of an entry, byte for byte as Go's archive/tar writes them when PAX is asked for: plain ustar where everything
 * fits, else a PAX header with just the records needed, sorted, in front of it. Throws `invalid` where PAX has no form for a value.
 */
export function encodeHeader(header: TarHeader): Uint8Array {
  const entry = completeHeader(header);
  const split = splitName(entry.name);
  const needs = requirements(entry, split !== undefined);
  if (!needs.pax) return ustarBlock(entry, split ?? { prefix: "", name: entry.name });
  const records = [...needs.records].sort(([a], [b]) => (a < b ? -1 : 1));
  const block = ustarBlock({
    ...entry,
    name: asciiOf(entry.name),
    linkName: asciiOf(entry.linkName),
    userName: asciiOf(entry.userName),
    groupName: asciiOf(entry.groupName),
  });
  if (records.length === 0) return block;
  return Buffer.concat([
    metaEntry(entry.name, Buffer.concat(records.map(([key, value]) => formatRecord(key, value)))),
    block,
  ]);
}

const TYPE_FLAG: Record<TarEntryType, string> = {
  file: "0",
  link: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};
const PAX_TYPE_FLAG = "x";
const PAX_DIRECTORY = "PaxHeaders.0";
const NANOSECONDS_PER_SECOND = 1_000_000_000n;

interface Requirements {
  /** Whether ustar alone does not do. */
  readonly pax: boolean;
  readonly records: ReadonlyMap<string, Uint8Array>;
}

/** Which records an entry asks for. A name that ustar can split still gets one where something else asks for PAX. */
function requirements(entry: TarEntry, splittable: boolean): Requirements {
  const records = new Map<string, Uint8Array>();
  let pax = false;
  const text = (key: string, value: TarPath, [, length]: Field, fits: boolean) => {
    if (value.includes("\0")) throw cannot(entry, `its ${key} holds a NUL byte`);
    if (isAscii(value) && value.length <= length) return;
    records.set(key, Buffer.from(value, "latin1"));
    if (!fits) pax = true;
  };
  const number = (key: string, value: number, [, length]: Field) => {
    if (!Number.isSafeInteger(value) || value < 0) throw cannot(entry, `its ${key} is ${value}`);
    if (fitsOctal(value, length)) return;
    records.set(key, Buffer.from(String(value)));
    pax = true;
  };
  text("path", entry.name, FIELD.name, splittable);
  text("linkpath", entry.linkName, FIELD.linkName, false);
  text("uname", entry.userName, FIELD.userName, false);
  text("gname", entry.groupName, FIELD.groupName, false);
  number("uid", entry.uid, FIELD.uid);
  number("gid", entry.gid, FIELD.gid);
  number("size", entry.size, FIELD.size);
  if (!fitsOctal(secondsOf(entry.mtimeNs), FIELD.mtime[1]) || entry.mtimeNs % NANOSECONDS_PER_SECOND !== 0n) {
    records.set("mtime", Buffer.from(formatTime(entry.mtimeNs)));
    pax = true;
  }
  for (const [name, value] of entry.xattrs) {
    if (name === "" || /[=\0]/.test(name)) throw cannot(entry, "it has an extended attribute with an impossible name");
    records.set(XATTR_RECORD_PREFIX + name, value);
    pax = true;
  }
  for (const [value, length] of [
    [entry.mode, FIELD.mode[1]],
    [entry.device.major, FIELD.deviceMajor[1]],
    [entry.device.minor, FIELD.deviceMinor[1]],
  ] as const) {
    if (!fitsOctal(value, length)) throw cannot(entry, `the mode or device number ${value} is too large`);
  }
  return { pax, records };
}

function cannot(entry: TarEntry, why: string): EngineError {
  return new EngineError(
    "invalid",
    `writing ${JSON.stringify(Buffer.from(entry.name, "latin1").toString())} to a tar archive: ${why}`,
  );
}

/** The entry that holds PAX records for the entry NAME. */
function metaEntry(name: TarPath, data: Uint8Array): Uint8Array {
  if (data.length > META_MAX_BYTES) {
    throw new EngineError(
      "invalid",
      `writing a tar archive: ${data.length} bytes of names and attributes for one entry`,
    );
  }
  const block = Buffer.alloc(BLOCK_BYTES);
  putText(block, FIELD.name, asciiOf(metaName(name)).slice(0, FIELD.name[1]).replace(/\/+$/, ""));
  block.write(PAX_TYPE_FLAG, FIELD.type[0], "latin1");
  for (const field of [FIELD.mode, FIELD.uid, FIELD.gid, FIELD.mtime]) putOctal(block, field, 0);
  putOctal(block, FIELD.size, data.length);
  seal(block);
  return Buffer.concat([block, data, Buffer.alloc(paddingOf(data.length))]);
}

/** `a/b` becomes `a/PaxHeaders.0/b`, with `.`, `..` and doubled slashes resolved as Go's path.Join does. */
function metaName(name: TarPath): TarPath {
  const slash = name.lastIndexOf("/") + 1;
  return cleanPath([name.slice(0, slash), PAX_DIRECTORY, name.slice(slash)].filter((part) => part !== "").join("/"));
}

function cleanPath(path: TarPath): TarPath {
  const rooted = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!rooted) kept.push(part);
  }
  return (rooted ? "/" : "") + kept.join("/");
}

/** A long name as ustar's prefix and name, where a slash stands at the right place. */
function splitName(name: TarPath): { prefix: TarPath; name: TarPath } | undefined {
  const [, nameLength] = FIELD.name;
  const [, prefixLength] = FIELD.prefix;
  if (name.length <= nameLength || !isAscii(name)) return undefined;
  let length = name.length;
  if (length > prefixLength + 1) length = prefixLength + 1;
  else if (name.endsWith("/")) length--;
  const slash = name.slice(0, length).lastIndexOf("/");
  const rest = name.length - slash - 1;
  if (slash <= 0 || rest > nameLength || rest === 0 || slash > prefixLength) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

function ustarBlock(entry: TarEntry, split?: { readonly prefix: TarPath; readonly name: TarPath }): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(TYPE_FLAG[entry.type], FIELD.type[0], "latin1");
  putText(block, FIELD.name, split?.name ?? entry.name);
  putText(block, FIELD.linkName, entry.linkName);
  putOctal(block, FIELD.mode, entry.mode);
  putOctal(block, FIELD.uid, entry.uid);
  putOctal(block, FIELD.gid, entry.gid);
  putOctal(block, FIELD.size, entry.size);
  putOctal(block, FIELD.mtime, secondsOf(entry.mtimeNs));
  putText(block, FIELD.userName, entry.userName);
  putText(block, FIELD.groupName, entry.groupName);
  putOctal(block, FIELD.deviceMajor, entry.device.major);
  putOctal(block, FIELD.deviceMinor, entry.device.minor);
  if (split) putText(block, FIELD.prefix, split.prefix);
  seal(block);
  return block;
}

/** Magic and checksum: the last thing done to a header. */
function seal(block: Buffer): void {
  block.write(USTAR_MAGIC, FIELD.magic[0], "latin1");
  const [start, length] = FIELD.checksum;
  putOctal(block, [start, length - 1], checksumOf(block, "unsigned"));
  block.write(" ", start + length - 1, "latin1");
}

/** Too long a text is cut; a slash it would then end in goes too, for readers that would take a file for a directory. */
function putText(block: Buffer, [start, length]: Field, text: TarPath): void {
  block.write(text.slice(0, length), start, "latin1");
  if (text.length > length && text[length - 1] === "/") {
    block[start + text.slice(0, length - 1).replace(/\/+$/, "").length] = 0;
  }
}

/** A number that does not fit becomes 0: a PAX record holds it. */
function putOctal(block: Buffer, [start, length]: Field, value: number): void {
  const digits = (fitsOctal(value, length) ? value : 0).toString(8).padStart(length - 1, "0");
  block.write(digits, start, "latin1");
}

function fitsOctal(value: number, length: number): boolean {
  return value >= 0 && value < 8 ** (length - 1);
}

/** Whole seconds, rounded down. Beyond 2^53 they are not exact, but then they don't fit into a header either. */
function secondsOf(ns: bigint): number {
  const seconds = Number(ns / NANOSECONDS_PER_SECOND);
  return ns < 0n && ns % NANOSECONDS_PER_SECOND !== 0n ? seconds - 1 : seconds;
}

function isAscii(text: TarPath): boolean {
  return /^[\x01-\x7f]*$/.test(text);
}

function asciiOf(text: TarPath): TarPath {
  return isAscii(text) ? text : text.replace(/[^\x01-\x7f]/g, "");
}
