import { budgetOf } from "./budget.js";

/** The headers in a database of rpm's own format (`Packages.db`: slots that point to blobs). What makes no sense is passed over. */
export function* ndbBlobs(file: Buffer): Generator<Buffer> {
  if (file.length < PAGE_BYTES || file.readUInt32LE(0) !== MAGIC || file.readUInt32LE(4) !== VERSION) return;
  const slotsEnd = Math.min(file.readUInt32LE(12) * PAGE_BYTES, file.length - SLOT_BYTES + 1);
  const spend = budgetOf(file.length);
  for (let at = HEADER_BYTES; at < slotsEnd; at += SLOT_BYTES) {
    const pkgIndex = file.readUInt32LE(at + 4);
    if (file.readUInt32LE(at) !== SLOT_MAGIC || pkgIndex === 0) continue;
    const start = file.readUInt32LE(at + 8) * BLOCK_BYTES;
    if (start + BLOB_HEADER_BYTES > file.length) continue;
    if (file.readUInt32LE(start) !== BLOB_MAGIC || file.readUInt32LE(start + 4) !== pkgIndex) continue;
    const size = file.readUInt32LE(start + 12);
    const from = start + BLOB_HEADER_BYTES;
    if (from + size > file.length || !spend(size)) continue;
    yield file.subarray(from, from + size);
  }
}

/** `RpmP`, `Slot` and `BlbS`, least byte first. */
const MAGIC = 0x506d7052;
const SLOT_MAGIC = 0x746f6c53;
const BLOB_MAGIC = 0x53626c42;
const VERSION = 0;
const PAGE_BYTES = 4096;
const HEADER_BYTES = 32;
const SLOT_BYTES = 16;
const BLOCK_BYTES = 16;
const BLOB_HEADER_BYTES = 16;
