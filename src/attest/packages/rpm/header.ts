/** What of a package's header is of interest (rpm's header format, without the magic, as databases keep it). */
export interface RpmHeader {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly epoch: number | undefined;
  readonly architecture: string | undefined;
  readonly license: string | undefined;
  /** The file name of the source package. */
  readonly source: string | undefined;
}

/** Reads one header; undefined for what is none. */
export function parseRpmHeader(blob: Buffer): RpmHeader | undefined {
  if (blob.length < PREAMBLE_BYTES) return undefined;
  const entries = blob.readUInt32BE(0);
  const dataBytes = blob.readUInt32BE(4);
  const dataAt = PREAMBLE_BYTES + entries * ENTRY_BYTES;
  if (entries > ENTRIES_MAX || dataAt + dataBytes > blob.length) return undefined;
  const data = blob.subarray(dataAt, dataAt + dataBytes);
  const texts = new Map<number, string>();
  let epoch: number | undefined;
  for (let i = 0; i < entries; i++) {
    const at = PREAMBLE_BYTES + i * ENTRY_BYTES;
    const tag = blob.readUInt32BE(at);
    const type = blob.readUInt32BE(at + 4);
    const offset = blob.readUInt32BE(at + 8);
    if (STRING_TYPES.has(type) && WANTED.has(tag)) texts.set(tag, textAt(data, offset));
    if (tag === Tag.epoch && type === INT32_TYPE && offset + 4 <= data.length) epoch = data.readUInt32BE(offset);
  }
  const [name, version, release] = [texts.get(Tag.name), texts.get(Tag.version), texts.get(Tag.release)];
  if (!name || !version || !release) return undefined;
  return {
    name,
    version,
    release,
    epoch,
    architecture: texts.get(Tag.architecture) || undefined,
    license: texts.get(Tag.license) || undefined,
    source: texts.get(Tag.source) || undefined,
  };
}

const PREAMBLE_BYTES = 8;
const ENTRY_BYTES = 16;
/** rpm's own bound of a header's entries. */
const ENTRIES_MAX = 0xffff;
const TEXT_BYTES_MAX = 4096;
const INT32_TYPE = 4;
/** A text, a list of which the first counts, a text in several languages of which the first counts. */
const STRING_TYPES: ReadonlySet<number> = new Set([6, 8, 9]);
const Tag = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  license: 1014,
  architecture: 1022,
  source: 1044,
} as const;
const WANTED: ReadonlySet<number> = new Set(Object.values(Tag));

function textAt(data: Buffer, offset: number): string {
  if (offset >= data.length) return "";
  const limit = Math.min(offset + TEXT_BYTES_MAX, data.length);
  const end = data.subarray(offset, limit).indexOf(0);
  return data.toString("utf8", offset, end < 0 ? limit : offset + end);
}
