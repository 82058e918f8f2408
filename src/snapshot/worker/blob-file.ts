import { createHash } from "node:crypto";
import fs from "node:fs";
import { type Digest, digestFromHex } from "../../base/index.js";
import { createCompressor, encoderOf, type LayerCompression } from "./compressor.js";
import type { JobContext } from "./context.js";
import { writeFully } from "./layer-copy.js";
import { zstdEncoder } from "./zstd.js";

/** Where an archive goes, and how it is packed. */
export interface BlobTarget {
  readonly compression: LayerCompression;
  /** Absolute path of the file to write; it is created, or overwritten. */
  readonly output: string;
  /** Whether packing keeps to about one core, because something else is waited for. */
  readonly background?: boolean | undefined;
}

/** A blob as it was written. */
export interface WrittenBlob {
  /** The digest of the archive that was packed. */
  readonly archive: Digest;
  /** The digest of what unpacking the blob gives: the same, unless packing adds to the archive. */
  readonly diffId: Digest;
  /** The digest of the file. */
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** For the blob's descriptor. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** What packed it; undefined where nothing did. */
  readonly encoder: string | undefined;
}

/** Writes the archive that BLOCKS are, as a compressor takes them, in one pass. */
export async function writeBlob(
  blocks: Iterable<Buffer> | AsyncIterable<Buffer>,
  { output, compression, background = false }: BlobTarget,
  context: JobContext,
): Promise<WrittenBlob> {
  const encoder = encoderOf(compression, zstdEncoder);
  const fd = fs.openSync(output, "w", 0o644);
  try {
    return { ...(await write(blocks, { fd, compression, background }, context)), encoder };
  } finally {
    fs.closeSync(fd);
  }
}

async function write(
  blocks: Iterable<Buffer> | AsyncIterable<Buffer>,
  to: { readonly fd: number; readonly compression: LayerCompression; readonly background: boolean },
  context: JobContext,
): Promise<Omit<WrittenBlob, "encoder">> {
  const archiveHash = createHash("sha256");
  const blobHash = createHash("sha256");
  let sizeBytes = 0;
  let archived = 0;
  const append = (bytes: Uint8Array): void => {
    writeFully(to.fd, bytes, sizeBytes);
    sizeBytes += bytes.length;
  };
  const output = (bytes: Uint8Array): void => {
    blobHash.update(bytes);
    append(bytes);
  };
  const compressor = createCompressor(to.compression, output, to);
  let done = false;
  try {
    for await (const block of blocks) {
      context.checkCanceled();
      archiveHash.update(block);
      if (compressor) await compressor.write(block);
      else append(block);
      archived += block.length;
      context.report({ current: archived, unit: "bytes" });
    }
    const repacked = await compressor?.end();
    done = true;
    const archive = digestFromHex(archiveHash.digest("hex"));
    const digest = compressor ? digestFromHex(blobHash.digest("hex")) : archive;
    return { archive, diffId: archive, ...repacked, digest, sizeBytes };
  } finally {
    if (!done) compressor?.abandon?.();
  }
}
