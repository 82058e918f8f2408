import { budgetOf } from "./budget.js";

/**
 * The last column of each row of TABLE, where it is a blob, in the order of the rows (SQLite's database file format). What makes no sense
 * is passed over: the file is a stranger's, and too simple a thing to be given to a database engine.
 */
export function* sqliteBlobs(file: Buffer, table: string): Generator<Buffer> {
  const database = open(file);
  if (database === undefined) return;
  for (const columns of rows(database, 1)) {
    const [type, name, , root] = columns;
    if (textOf(type) !== "table" || textOf(name) !== table) continue;
    for (const values of rows(database, numberOf(root))) {
      const last = values.at(-1);
      if (last?.kind === "blob") yield last.bytes;
    }
  }
}

interface Database {
  readonly file: Buffer;
  readonly pageBytes: number;
  /** Of a page, less what extensions have at its end. */
  readonly usableBytes: number;
  readonly spend: (bytes: number) => boolean;
}

interface Value {
  readonly kind: "text" | "blob" | "number";
  readonly bytes: Buffer;
}

const MAGIC = "SQLite format 3\0";
const HEADER_BYTES = 100;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
/** What even an empty row counts as. */
const CELL_BYTES = 8;
const INTERIOR = 0x05;
const LEAF = 0x0d;

function open(file: Buffer): Database | undefined {
  if (file.length < HEADER_BYTES || file.toString("latin1", 0, MAGIC.length) !== MAGIC) return undefined;
  const size = file.readUInt16BE(16);
  const pageBytes = size === 1 ? PAGE_BYTES_MAX : size;
  if (pageBytes < PAGE_BYTES_MIN || (pageBytes & (pageBytes - 1)) !== 0) return undefined;
  const usableBytes = pageBytes - (file[20] ?? 0);
  return { file, pageBytes, usableBytes, spend: budgetOf(file.length) };
}

function pageAt({ file, pageBytes }: Database, number: number): Buffer | undefined {
  const at = (number - 1) * pageBytes;
  return number >= 1 && at + pageBytes <= file.length ? file.subarray(at, at + pageBytes) : undefined;
}

/** The rows of the table whose tree begins at page ROOT. No page is looked at twice. */
function* rows(database: Database, root: number): Generator<readonly Value[]> {
  const seen = new Set<number>();
  const waiting = [root];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    const page = pageAt(database, number);
    if (page === undefined || seen.has(number)) continue;
    seen.add(number);
    const at = number === 1 ? HEADER_BYTES : 0;
    const cells = page.readUInt16BE(at + 3);
    if (page[at] === INTERIOR) waiting.push(...children(page, at, cells).reverse());
    if (page[at] !== LEAF) continue;
    for (const cell of pointers(page, at + 8, cells)) {
      const payload = payloadAt(database, page, cell);
      if (payload !== undefined) yield valuesOf(payload);
    }
  }
}

function pointers(page: Buffer, at: number, count: number): readonly number[] {
  const end = Math.min(at + 2 * count, page.length - 1);
  const found: number[] = [];
  for (let i = at; i < end; i += 2) found.push(page.readUInt16BE(i));
  return found;
}

function children(page: Buffer, at: number, cells: number): number[] {
  const left = pointers(page, at + 12, cells).flatMap((cell) =>
    cell + 4 <= page.length ? [page.readUInt32BE(cell)] : [],
  );
  return [...left, page.readUInt32BE(at + 8)];
}

/** A row's bytes: those in its cell, and the rest in a chain of pages. */
function payloadAt(database: Database, page: Buffer, cell: number): Buffer | undefined {
  const { usableBytes } = database;
  const [size, afterSize] = varint(page, cell);
  const [, start] = varint(page, afterSize);
  if (!database.spend(size + CELL_BYTES)) return undefined;
  const local = localBytes(size, usableBytes);
  if (start + local > page.length) return undefined;
  if (local === size) return page.subarray(start, start + size);
  const chunks = [page.subarray(start, start + local)];
  let missing = size - local;
  let next = start + local + 4 <= page.length ? page.readUInt32BE(start + local) : 0;
  while (missing > 0) {
    const overflow = pageAt(database, next);
    if (overflow === undefined) return undefined;
    const chunk = overflow.subarray(4, Math.min(4 + missing, usableBytes));
    if (chunk.length === 0) return undefined;
    chunks.push(chunk);
    missing -= chunk.length;
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(chunks);
}

/** How many of SIZE bytes are in the cell itself (section 1.6 of the format). */
function localBytes(size: number, usable: number): number {
  const most = usable - 35;
  if (size <= most) return size;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const wanted = least + ((size - least) % (usable - 4));
  return wanted <= most ? wanted : least;
}

/** Bytes of the whole numbers that the serial types 0 to 9 are. */
const NUMBER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

function valuesOf(record: Buffer): readonly Value[] {
  const values: Value[] = [];
  let [headerEnd, at] = varint(record, 0);
  headerEnd = Math.min(headerEnd, record.length);
  let dataAt = headerEnd;
  while (at < headerEnd && values.length < COLUMNS_MAX) {
    const [type, next] = varint(record, at);
    at = next;
    const size = type >= 12 ? Math.floor((type - 12) / 2) : (NUMBER_BYTES[type] ?? 0);
    const kind = type < 12 ? "number" : type % 2 === 0 ? "blob" : "text";
    values.push({ kind, bytes: record.subarray(dataAt, dataAt + size) });
    dataAt += size;
  }
  return values;
}

const COLUMNS_MAX = 64;

function textOf(value: Value | undefined): string {
  return value?.kind === "text" ? value.bytes.toString("utf8") : "";
}

function numberOf(value: Value | undefined): number {
  const { length = 0 } = value?.bytes ?? {};
  return value && length >= 1 && length <= 6 ? value.bytes.readUIntBE(0, length) : 0;
}

/** A number of one to nine bytes, and where it ends; one that no file can have is as good as infinite. */
function varint(bytes: Buffer, start: number): readonly [value: number, end: number] {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return [0, bytes.length];
    if (i === 8) return [value * 256 + byte, start + 9];
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, start + i + 1];
  }
  return [value, start + 9];
}
