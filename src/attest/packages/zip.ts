import { inflateRawSync } from "node:zlib";

/** A file of an archive. */
export interface ZipEntry {
  readonly name: string;
  /** What it holds; undefined if that can't be had, or is more than MAX_BYTES. */
  read(maxBytes: number): Buffer | undefined;
}

/** The files of a zip archive, by its central directory (APPNOTE 4.3). What makes no sense is passed over: the archive is a stranger's. */
export function* zipEntries(archive: Buffer): Generator<ZipEntry> {
  const directory = directoryOf(archive);
  if (directory === undefined) return;
  let { at } = directory;
  for (let i = 0; i < Math.min(directory.entries, ENTRIES_MAX); i++) {
    if (at + ENTRY_BYTES > archive.length || archive.readUInt32LE(at) !== ENTRY_MAGIC) return;
    const nameBytes = archive.readUInt16LE(at + 28);
    const nameAt = at + ENTRY_BYTES;
    const entry = at;
    at = nameAt + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    yield {
      name: archive.toString("utf8", nameAt, nameAt + nameBytes),
      read: (maxBytes) => contentOf(archive, entry, maxBytes),
    };
  }
}

const END_MAGIC = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 0xffff;
const ENTRY_MAGIC = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_MAGIC = 0x04034b50;
const LOCAL_BYTES = 30;
const ENTRIES_MAX = 65_535;
const STORED = 0;
const DEFLATED = 8;

function directoryOf(archive: Buffer): { readonly at: number; readonly entries: number } | undefined {
  const least = Math.max(0, archive.length - END_BYTES - COMMENT_BYTES_MAX);
  for (let at = archive.length - END_BYTES; at >= least; at--) {
    if (archive.readUInt32LE(at) !== END_MAGIC) continue;
    return { at: archive.readUInt32LE(at + 16), entries: archive.readUInt16LE(at + 10) };
  }
  return undefined;
}

function contentOf(archive: Buffer, entry: number, maxBytes: number): Buffer | undefined {
  const method = archive.readUInt16LE(entry + 10);
  const packedBytes = archive.readUInt32LE(entry + 20);
  const sizeBytes = archive.readUInt32LE(entry + 24);
  const local = archive.readUInt32LE(entry + 42);
  if (sizeBytes > maxBytes || local + LOCAL_BYTES > archive.length) return undefined;
  if (archive.readUInt32LE(local) !== LOCAL_MAGIC) return undefined;
  const start = local + LOCAL_BYTES + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const packed = archive.subarray(start, start + packedBytes);
  if (packed.length !== packedBytes) return undefined;
  if (method === STORED) return packed;
  if (method !== DEFLATED) return undefined;
  try {
    return inflateRawSync(packed, { maxOutputLength: maxBytes });
  } catch {
    return undefined;
  }
}
