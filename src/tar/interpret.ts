import { type TarEntry, type TarEntryType, type TarPath, XATTR_RECORD_PREFIX } from "./entry.js";
import { parseRecords, parseTime } from "./pax.js";
import type { RawHeader } from "./read-header.js";
import { decimal, type SparseInfo, sparseOfRecords } from "./sparse.js";

/** What headers in front of an entry say of it. */
export interface Meta {
  /** Whether there was any. */
  seen?: true;
  records?: ReadonlyMap<string, TarPath>;
  longName?: TarPath;
  longLink?: TarPath;
}

const META_FLAGS = "xXgLK";

/** Whether a header's body tells of the entry after it. */
export function isMeta(flag: string): boolean {
  return META_FLAGS.includes(flag);
}

/** Takes the body of a meta entry into META; a text says what is wrong with it. */
export function readMeta(meta: Meta, flag: string, data: Uint8Array): string | undefined {
  if (flag === "L" || flag === "K") {
    meta.seen = true;
    const text = Buffer.from(data).toString("latin1").replace(/\0.*$/s, "");
    if (flag === "L") meta.longName = text;
    else meta.longLink = text;
    return undefined;
  }
  const records = parseRecords(data);
  if (!records) return "its PAX header is malformed";
  if (flag === "g") return undefined;
  meta.seen = true;
  const map = new Map<string, TarPath>();
  const sparse: TarPath[] = [];
  for (const [key, value] of records) {
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      if ((key === "GNU.sparse.offset") !== (sparse.length % 2 === 0)) return "its map of holes makes no sense";
      sparse.push(value);
    } else map.set(key, value);
  }
  if (sparse.length > 0) map.set("GNU.sparse.map", sparse.join(","));
  meta.records = map;
  return undefined;
}

/** An entry, the bytes stored for it, and how they spread over a sparse file. */
export interface Interpreted {
  readonly entry: TarEntry;
  readonly stored: number;
  readonly sparse: SparseInfo | undefined;
}

/** Puts a header and what stood in front of it together; a text says why that cannot be. */
export function interpret(raw: RawHeader, meta: Meta): Interpreted | string {
  const records = meta.records ?? NO_RECORDS;
  const numbers = {
    uid: recordNumber(records, "uid", raw.uid),
    gid: recordNumber(records, "gid", raw.gid),
    size: recordNumber(records, "size", raw.size),
  };
  for (const [key, value] of Object.entries(numbers)) if (value === undefined) return `its ${key} is no number`;
  const mtimeText = records.get("mtime");
  const mtimeNs = mtimeText ? parseTime(mtimeText) : BigInt(raw.mtimeSeconds) * NANOSECONDS_PER_SECOND;
  if (mtimeNs === undefined) return "its mtime is no number";
  const sparse = raw.flag === "S" ? undefined : sparseOfRecords(records, numbers.size ?? 0);
  if (sparse === "malformed") return "its map of holes makes no sense";
  const sparseName = sparse && records.get("GNU.sparse.name");
  const name = meta.longName || sparseName || records.get("path") || raw.name;
  const linkName = meta.longLink || records.get("linkpath") || raw.linkName;
  if (name.includes("\0") || linkName.includes("\0")) return "its name holds a NUL byte";
  const type = typeOf(raw.flag, name);
  if (type === undefined)
    return `${JSON.stringify(Buffer.from(name, "latin1").toString())} is of the unknown type ${JSON.stringify(raw.flag)}`;
  const stored = type === "file" ? (numbers.size ?? 0) : 0;
  const entry: TarEntry = {
    name,
    type,
    mode: raw.mode & MODE_MASK,
    uid: numbers.uid ?? 0,
    gid: numbers.gid ?? 0,
    size: stored,
    mtimeNs,
    linkName,
    userName: records.get("uname") || raw.userName,
    groupName: records.get("gname") || raw.groupName,
    device: raw.device,
    xattrs: xattrsOf(records),
  };
  return { entry, stored, sparse: type === "file" ? sparse : undefined };
}

const NO_RECORDS: ReadonlyMap<string, TarPath> = new Map();
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
const NANOSECONDS_PER_SECOND = 1_000_000_000n;
const MODE_MASK = 0o7777;

/** An empty record leaves the header's value standing. */
function recordNumber(records: ReadonlyMap<string, TarPath>, key: string, fallback: number): number | undefined {
  const text = records.get(key);
  return text ? decimal(text) : fallback;
}

function typeOf(flag: string, name: TarPath): TarEntryType | undefined {
  switch (flag) {
    case "\0":
    case "0":
    case "7":
      return flag !== "7" && name.endsWith("/") ? "directory" : "file";
    case "S":
      return "file";
    case "1":
      return "link";
    case "2":
      return "symlink";
    case "3":
      return "char";
    case "4":
      return "block";
    case "5":
      return "directory";
    case "6":
      return "fifo";
    default:
      return undefined;
  }
}

function xattrsOf(records: ReadonlyMap<string, TarPath>): ReadonlyMap<string, Uint8Array> {
  let xattrs: Map<string, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_RECORD_PREFIX) || key.length === XATTR_RECORD_PREFIX.length) continue;
    xattrs ??= new Map();
    xattrs.set(key.slice(XATTR_RECORD_PREFIX.length), Buffer.from(value, "latin1"));
  }
  return xattrs ?? NO_XATTRS;
}
