import fs from "node:fs";
import { type BlobTarget, type WrittenBlob, writeBlob } from "./blob-file.js";
import type { Job } from "./context.js";
import { decompressed, detectCompression } from "./decompress.js";
import { GZIP_BLOCK_BYTES } from "./gzip.js";

/** A layer's blob to pack anew. */
export interface ConvertBlobArgs extends BlobTarget {
  /** Absolute path of the file to read. */
  readonly input: string;
  /** What it is called in errors. */
  readonly name: string;
}

/** Unpacks a blob, however it is packed, and packs it as asked for. Whether its archive is the right one is the caller's to check. */
export const convertBlob: Job<ConvertBlobArgs, WrittenBlob> = async ({ input, name, ...to }, context) => {
  const fd = fs.openSync(input, "r");
  try {
    const content = decompressed({ fd, name, compression: detectCompression(fd) });
    return await writeBlob(inBlocks(content), to, context);
  } finally {
    fs.closeSync(fd);
  }
};

/** CONTENT in blocks of the size that compressors take, the last one shorter. */
async function* inBlocks(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafeSlow(GZIP_BLOCK_BYTES);
  let filled = 0;
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + block.length - filled);
      block.set(piece, filled);
      at += piece.length;
      filled += piece.length;
      if (filled < block.length) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(GZIP_BLOCK_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}
