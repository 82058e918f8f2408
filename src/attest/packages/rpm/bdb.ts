import { budgetOf } from "./budget.js";

/**
 * The values in a Berkeley DB hash, as rpm before 4.16 kept its headers (`Packages`), but for those so small that they are in the table
 * itself: no header is. What makes no sense is passed over.
 */
export function* bdbBlobs(file: Buffer): Generator<Buffer> {
  const database = open(file);
  if (database === undefined) return;
  const spend = budgetOf(file.length);
  for (let number = 0; (number + 1) * database.pageBytes <= file.length; number++) {
    const page = pageAt(database, number);
    const type = page?.[TYPE_AT] ?? 0;
    if (page === undefined || !HASH_TYPES.has(type)) continue;
    const entries = database.u16(page, 20);
    // Keys and values take turns.
    for (let i = 1; i < entries && PAGE_HEADER_BYTES + 2 * i + 2 <= page.length; i += 2) {
      const at = database.u16(page, PAGE_HEADER_BYTES + 2 * i);
      if (page[at] !== OFF_PAGE || at + 12 > page.length) continue;
      const size = database.u32(page, at + 8);
      if (!spend(size)) return;
      const value = chainAt(database, database.u32(page, at + 4), size);
      if (value !== undefined) yield value;
    }
  }
}

interface Database {
  readonly file: Buffer;
  readonly pageBytes: number;
  readonly u16: (page: Buffer, at: number) => number;
  readonly u32: (page: Buffer, at: number) => number;
}

const HASH_MAGIC = 0x00061561;
const PAGE_HEADER_BYTES = 26;
const TYPE_AT = 25;
/** Pages of the table: unsorted, of old, and sorted. */
const HASH_TYPES: ReadonlySet<number> = new Set([2, 13]);
const OVERFLOW_TYPE = 7;
/** An entry that only says where its value lies. */
const OFF_PAGE = 3;
const METADATA_BYTES = 512;
const PAGE_BYTES_MAX = 65_536;

/** The numbers of a database are in the order of the machine that made it. */
function open(file: Buffer): Database | undefined {
  if (file.length < METADATA_BYTES) return undefined;
  const isLittle = file.readUInt32LE(12) === HASH_MAGIC;
  if (!isLittle && file.readUInt32BE(12) !== HASH_MAGIC) return undefined;
  const u16 = (page: Buffer, at: number) => (isLittle ? page.readUInt16LE(at) : page.readUInt16BE(at));
  const u32 = (page: Buffer, at: number) => (isLittle ? page.readUInt32LE(at) : page.readUInt32BE(at));
  const pageBytes = u32(file, 20);
  if (pageBytes < METADATA_BYTES || pageBytes > PAGE_BYTES_MAX) return undefined;
  return { file, pageBytes, u16, u32 };
}

function pageAt({ file, pageBytes }: Database, number: number): Buffer | undefined {
  const at = number * pageBytes;
  return at + pageBytes <= file.length ? file.subarray(at, at + pageBytes) : undefined;
}

/** SIZE bytes in the chain of pages that begins at FIRST. */
function chainAt(database: Database, first: number, size: number): Buffer | undefined {
  const chunks: Buffer[] = [];
  let missing = size;
  for (let next = first; missing > 0; ) {
    const page = pageAt(database, next);
    if (page === undefined || page[TYPE_AT] !== OVERFLOW_TYPE) return undefined;
    // All but the last page are full.
    const used = Math.min(page.length - PAGE_HEADER_BYTES, missing);
    if (database.u16(page, 22) < used) return undefined;
    chunks.push(page.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + used));
    missing -= used;
    next = database.u32(page, 16);
  }
  return Buffer.concat(chunks);
}
