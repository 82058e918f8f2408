import zlib from "node:zlib";
import type { Output } from "./compressor.js";

/** A gzip file of many members (RFC 1952), each compressed alone on libuv's threads and written in its turn. */
export class GzipMembers {
  readonly #level: number;
  readonly #output: Output;
  readonly #inFlight: number;
  readonly #queue: Member[] = [];
  #open: { pieces: Uint8Array[]; bytes: number; placed: ((offset: number) => void)[] } = fresh();
  #position = 0;

  constructor(level: number, output: Output, membersInFlight: number) {
    this.#level = level;
    this.#output = output;
    this.#inFlight = membersInFlight;
  }

  /** How many bytes are out. */
  get position(): number {
    return this.#position;
  }

  /** Adds BYTES, which are kept, to the open member. */
  add(bytes: Uint8Array): void {
    this.#open.pieces.push(bytes);
    this.#open.bytes += bytes.length;
    if (this.#open.bytes >= MEMBER_BYTES_MAX) this.close();
  }

  /** Has CALLED with the offset of the open member once it is known. */
  whenPlaced(called: (offset: number) => void): void {
    this.#open.placed.push(called);
  }

  /** Ends the open member, unless nothing is in it. */
  close(): void {
    if (this.#open.bytes === 0) return;
    const { pieces, placed } = this.#open;
    this.#open = fresh();
    const [only] = pieces;
    const input = only && pieces.length === 1 ? only : Buffer.concat(pieces);
    const compressed = compress(input, this.#level);
    // It is awaited in its turn; a failure before that must not look unhandled.
    compressed.catch(() => {});
    this.#queue.push({ compressed, placed });
  }

  /** Waits until there is room for more. */
  async room(): Promise<void> {
    while (this.#queue.length > this.#inFlight) await this.#drainOne();
  }

  async drain(): Promise<void> {
    while (this.#queue.length > 0) await this.#drainOne();
  }

  /** An empty member that says where the table of contents is. */
  footer(tocOffset: number): void {
    const subfield = Buffer.from(`${tocOffset.toString(16).padStart(OFFSET_DIGITS, "0")}STARGZ`);
    const lengths = Buffer.alloc(6);
    lengths.writeUInt16LE(subfield.length + 4, 0);
    lengths.write("SG", 2, "latin1");
    lengths.writeUInt16LE(subfield.length, 4);
    const empty = Uint8Array.of(1, 0, 0, 0xff, 0xff);
    this.#write(Buffer.concat([header(FLAG_EXTRA), lengths, subfield, empty, Buffer.alloc(8)]));
  }

  async #drainOne(): Promise<void> {
    const next = this.#queue.shift();
    if (!next) return;
    const bytes = await next.compressed;
    for (const called of next.placed) called(this.#position);
    this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    this.#output(bytes);
    this.#position += bytes.length;
  }
}

interface Member {
  readonly compressed: Promise<Buffer>;
  readonly placed: readonly ((offset: number) => void)[];
}

/** A longer run without a file's content (headers, say) is split, to bound memory. */
const MEMBER_BYTES_MAX = 8 << 20;
const OFFSET_DIGITS = 16;
const FLAG_EXTRA = 4;
const OS_UNKNOWN = 255;

function fresh(): { pieces: Uint8Array[]; bytes: number; placed: ((offset: number) => void)[] } {
  return { pieces: [], bytes: 0, placed: [] };
}

/** Without a name or a time. */
function header(flags: number): Uint8Array {
  return Uint8Array.of(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, OS_UNKNOWN);
}

function compress(input: Uint8Array, level: number): Promise<Buffer> {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(zlib.crc32(input), 0);
  trailer.writeUInt32LE(input.length % 2 ** 32, 4);
  return new Promise((resolve, reject) => {
    zlib.deflateRaw(input, { level }, (error, result) =>
      error ? reject(error) : resolve(Buffer.concat([header(0), result, trailer])),
    );
  });
}
