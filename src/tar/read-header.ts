import { checksumOf, FIELD, type Field, GNU_MAGIC, USTAR_MAGIC } from "./block.js";
import type { TarPath } from "./entry.js";

/** The forms a header block comes in: what stands behind the old fields differs. */
export type HeaderFormat = "v7" | "ustar" | "star" | "gnu";

/** A header block's fields as they stand, before PAX records and long names. */
export interface RawHeader {
  readonly format: HeaderFormat;
  readonly flag: string;
  readonly name: TarPath;
  readonly linkName: TarPath;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly userName: TarPath;
  readonly groupName: TarPath;
  readonly device: { readonly major: number; readonly minor: number };
}

/** Reads a header block; a text says what is wrong with it. */
export function readHeader(block: Buffer): RawHeader | string {
  const sum = octal(block, FIELD.checksum);
  if (sum !== checksumOf(block, "unsigned") && sum !== checksumOf(block, "signed"))
    return "it is no tar header (wrong checksum)";
  const format = formatOf(block);
  const fields = {
    mode: number(block, FIELD.mode),
    uid: number(block, FIELD.uid),
    gid: number(block, FIELD.gid),
    size: number(block, FIELD.size),
    mtimeSeconds: number(block, FIELD.mtime),
    major: format === "v7" ? 0 : number(block, FIELD.deviceMajor),
    minor: format === "v7" ? 0 : number(block, FIELD.deviceMinor),
  };
  for (const [field, value] of Object.entries(fields)) {
    if (!Number.isSafeInteger(value)) return `its ${field} is no number`;
    if (value < 0 && field !== "mtimeSeconds") return `its ${field} is negative`;
  }
  return {
    format,
    flag: String.fromCharCode(block[FIELD.type[0]] ?? 0),
    name: nameOf(block, format),
    linkName: text(block, FIELD.linkName),
    ...fields,
    userName: format === "v7" ? "" : text(block, FIELD.userName),
    groupName: format === "v7" ? "" : text(block, FIELD.groupName),
    device: { major: fields.major, minor: fields.minor },
  };
}

function formatOf(block: Buffer): HeaderFormat {
  const magic = raw(block, FIELD.magic);
  if (magic === GNU_MAGIC) return "gnu";
  if (!magic.startsWith(USTAR_MAGIC.slice(0, 6))) return "v7";
  return raw(block, FIELD.starTrailer) === "tar\0" ? "star" : "ustar";
}

function nameOf(block: Buffer, format: HeaderFormat): TarPath {
  const name = text(block, FIELD.name);
  if (format !== "ustar" && format !== "star") return name;
  const prefix = text(block, format === "ustar" ? FIELD.prefix : FIELD.starPrefix);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function raw(block: Buffer, [start, length]: Field): string {
  return block.toString("latin1", start, start + length);
}

/** A field's text up to its NUL. */
export function text(block: Buffer, field: Field): TarPath {
  if (block[field[0]] === 0) return "";
  const value = raw(block, field);
  const nul = value.indexOf("\0");
  return nul < 0 ? value : value.slice(0, nul);
}

/** A number in octal digits or, where the first bit is set, in binary (two's complement, high byte first); NaN for neither. */
export function number(block: Buffer, field: Field): number {
  const [start, length] = field;
  const first = block[start] ?? 0;
  if ((first & 0x80) === 0) return octal(block, field);
  const negative = (first & 0x40) !== 0;
  let value = BigInt(negative ? first - 0x100 : first & 0x7f);
  for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[start + i] ?? 0);
  const result = Number(value);
  return Number.isSafeInteger(result) ? result : Number.NaN;
}

/** Digits after any blanks or NULs, up to the next of those or the field's end; none is 0. */
function octal(block: Buffer, [start, length]: Field): number {
  let at = start;
  const end = start + length;
  while (at < end && (block[at] === BLANK || block[at] === 0)) at++;
  let value = 0;
  for (; at < end && block[at] !== BLANK && block[at] !== 0; at++) {
    const digit = (block[at] ?? 0) - ASCII_ZERO;
    if (digit < 0 || digit > 7) return Number.NaN;
    value = value * 8 + digit;
  }
  return value;
}

const BLANK = 0x20;
const ASCII_ZERO = 0x30;
