import fs from "node:fs";

/**
 * What Go's linker has noted in the program behind FD (1.18 and later): its modules, as text. Undefined for what is no program, or none of
 * Go's. Reads little of it: programs are large, and a stranger's.
 */
export function readGoBuildInfo(fd: number): Buffer | undefined {
  const section = sectionAt(fd, ".go.buildinfo");
  if (section === undefined || section.sizeBytes < HEADER_BYTES) return undefined;
  const bytes = readAt(fd, section.offset, Math.min(section.sizeBytes, INFO_BYTES_MAX));
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || ((bytes[FLAGS_AT] ?? 0) & INLINE) === 0) return undefined;
  const version = textAt(bytes, HEADER_BYTES);
  const modules = version && textAt(bytes, version.end);
  // Marks stand around it.
  return modules && modules.text.length > 2 * MARK_BYTES ? modules.text.subarray(MARK_BYTES, -MARK_BYTES) : undefined;
}

const MAGIC = Buffer.from("\xff Go buildinf:", "latin1");
const HEADER_BYTES = 32;
const FLAGS_AT = 15;
/** The texts follow the header; before Go 1.18 it pointed to them. */
const INLINE = 2;
const MARK_BYTES = 16;
const INFO_BYTES_MAX = 4 << 20;
const ELF_MAGIC = Buffer.from("\x7fELF", "latin1");
const ELF_HEADER_BYTES = 64;
const SECTIONS_MAX = 4096;
const NAMES_BYTES_MAX = 1 << 20;

interface Section {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The section NAME of an ELF file (elf(5)). */
function sectionAt(fd: number, name: string): Section | undefined {
  const header = readAt(fd, 0, ELF_HEADER_BYTES);
  if (header.length < ELF_HEADER_BYTES || !header.subarray(0, ELF_MAGIC.length).equals(ELF_MAGIC)) return undefined;
  const is64 = header[4] === 2;
  const numbers = numbersOf(header[5] === 1);
  const tableAt = is64 ? numbers.long(header, 40) : numbers.word(header, 32);
  const [entryBytes, count, namesIndex] = [0, 2, 4].map((at) => numbers.half(header, (is64 ? 58 : 46) + at));
  if (entryBytes === undefined || count === undefined || namesIndex === undefined) return undefined;
  if (entryBytes !== (is64 ? 64 : 40) || count > SECTIONS_MAX) return undefined;
  const table = readAt(fd, tableAt, entryBytes * count);
  if (table.length < entryBytes * count) return undefined;
  const sections = Array.from({ length: count }, (_, i) => table.subarray(i * entryBytes, (i + 1) * entryBytes));
  const placeOf = (section: Buffer): Section =>
    is64
      ? { offset: numbers.long(section, 24), sizeBytes: numbers.long(section, 32) }
      : { offset: numbers.word(section, 16), sizeBytes: numbers.word(section, 20) };
  const names = sections[namesIndex] && placeOf(sections[namesIndex]);
  if (names === undefined) return undefined;
  const text = readAt(fd, names.offset, Math.min(names.sizeBytes, NAMES_BYTES_MAX)).toString("latin1");
  const found = sections.find((section) => text.startsWith(`${name}\0`, numbers.word(section, 0)));
  return found && placeOf(found);
}

interface Numbers {
  half(bytes: Buffer, at: number): number;
  word(bytes: Buffer, at: number): number;
  long(bytes: Buffer, at: number): number;
}

function numbersOf(isLittle: boolean): Numbers {
  return {
    half: (bytes, at) => (isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)),
    word: (bytes, at) => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)),
    long: (bytes, at) => Number(isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at)),
  };
}

/** What of the bytes from OFFSET on there is. */
function readAt(fd: number, offset: number, sizeBytes: number): Buffer {
  if (!Number.isSafeInteger(offset)) return Buffer.alloc(0);
  const buffer = Buffer.alloc(sizeBytes);
  return buffer.subarray(0, fs.readSync(fd, buffer, 0, sizeBytes, offset));
}

/** A text behind its length, which takes one byte for seven bits. */
function textAt(bytes: Buffer, start: number): { readonly text: Buffer; readonly end: number } | undefined {
  let length = 0;
  for (let at = start, scale = 1; at < start + 4; at++, scale *= 128) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * scale;
    if (byte >= 0x80) continue;
    const end = at + 1 + length;
    return end <= bytes.length ? { text: bytes.subarray(at + 1, end), end } : undefined;
  }
  return undefined;
}
