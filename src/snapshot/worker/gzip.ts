import zlib from "node:zlib";
import type { Compressor, Output } from "./compressor.js";

/** Input is compressed in independent blocks of this size: the output depends on it. */
export const GZIP_BLOCK_BYTES = 1 << 20;

/**
 * Compresses to gzip, several blocks at a time on libuv's threads. The bytes depend on block size, LEVEL (0 to 9) and zlib's version
 * alone, not on how many BLOCKS_IN_FLIGHT there may be. Name and time are left out of the header. Every block may refer to the 32 KiB before it, so the result is one plain gzip
 * member (RFC 1952).
 */
export function createGzip(level: number, output: Output, blocksInFlight: number): Compressor {
  return new ParallelGzip(level, output, blocksInFlight);
}

const WINDOW_BYTES = 32 << 10;
const OS_UNKNOWN = 255;
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, OS_UNKNOWN);
/** An empty last block of fixed Huffman codes (RFC 1951 3.2.6): ends the stream that sync flushes left open. */
const LAST_BLOCK = Uint8Array.of(0x03, 0x00);

class ParallelGzip implements Compressor {
  readonly #level: number;
  readonly #output: Output;
  readonly #inFlight: Promise<Buffer>[] = [];
  readonly #blocksInFlight: number;
  #window: Buffer | undefined;
  #crc = 0;
  #length = 0;

  constructor(level: number, output: Output, blocksInFlight: number) {
    this.#level = level;
    this.#output = output;
    this.#blocksInFlight = blocksInFlight;
    output(HEADER);
  }

  async write(block: Buffer): Promise<void> {
    if (block.length === 0) return;
    this.#crc = zlib.crc32(block, this.#crc);
    this.#length += block.length;
    const compressed = deflateBlock(block, this.#level, this.#window);
    // It is awaited in its turn; a failure before that must not look unhandled.
    compressed.catch(() => {});
    this.#inFlight.push(compressed);
    this.#window = block.subarray(Math.max(0, block.length - WINDOW_BYTES));
    if (this.#inFlight.length >= this.#blocksInFlight) await this.#drainOne();
  }

  async end(): Promise<undefined> {
    while (this.#inFlight.length > 0) await this.#drainOne();
    this.#output(LAST_BLOCK);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#length % 2 ** 32, 4);
    this.#output(trailer);
  }

  async #drainOne(): Promise<void> {
    const next = this.#inFlight.shift();
    if (next) this.#output(await next);
  }
}

function deflateBlock(block: Buffer, level: number, dictionary: Buffer | undefined): Promise<Buffer> {
  const options: zlib.ZlibOptions = {
    level,
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
    ...(dictionary && { dictionary }),
  };
  return new Promise((resolve, reject) => {
    zlib.deflateRaw(block, options, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
