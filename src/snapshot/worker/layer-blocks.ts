import fs from "node:fs";
import { EngineError } from "../../base/index.js";
import { END_OF_ARCHIVE, encodeHeader, paddingOf, type TarHeader } from "../../tar/index.js";
import { type BytePath, toBuffer, toText } from "./bytes.js";
import { GZIP_BLOCK_BYTES } from "./gzip.js";

/**
 * Lays a tar archive out in blocks of GZIP_BLOCK_BYTES, the last one shorter. Each full block is yielded and never written to again;
 * file contents are read straight into it.
 */
export class TarBlocks {
  #block = Buffer.allocUnsafeSlow(GZIP_BLOCK_BYTES);
  #at = 0;

  /** Adds an entry without content. */
  *header(header: TarHeader): Generator<Buffer> {
    yield* this.#bytes(encodeHeader(header));
  }

  /** Adds a file with the content of the file at PATH, which must have the size that HEADER says. */
  *file(header: TarHeader, path: BytePath): Generator<Buffer> {
    yield* this.header(header);
    const size = header.size ?? 0;
    if (size === 0) return;
    const fd = fs.openSync(toBuffer(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    try {
      for (let left = size; left > 0; ) {
        const n = fs.readSync(fd, this.#block, this.#at, Math.min(left, this.#block.length - this.#at), null);
        if (n === 0) throw new EngineError("data-loss", `${toText(path)} became shorter while it was read`);
        left -= n;
        this.#at += n;
        if (this.#at === this.#block.length) yield this.#next();
      }
    } finally {
      fs.closeSync(fd);
    }
    yield* this.#bytes(END_OF_ARCHIVE.subarray(0, paddingOf(size)));
  }

  /** Adds a file with the content CONTENT. */
  *content(header: TarHeader, content: Uint8Array): Generator<Buffer> {
    yield* this.header({ ...header, size: content.length });
    yield* this.#bytes(content);
    yield* this.#bytes(END_OF_ARCHIVE.subarray(0, paddingOf(content.length)));
  }

  /** Ends the archive and gives the last block. */
  *end(): Generator<Buffer> {
    yield* this.#bytes(END_OF_ARCHIVE);
    if (this.#at > 0) yield this.#block.subarray(0, this.#at);
    this.#at = 0;
  }

  *#bytes(bytes: Uint8Array): Generator<Buffer> {
    for (let from = 0; from < bytes.length; ) {
      const piece = bytes.subarray(from, from + this.#block.length - this.#at);
      this.#block.set(piece, this.#at);
      from += piece.length;
      this.#at += piece.length;
      if (this.#at === this.#block.length) yield this.#next();
    }
  }

  #next(): Buffer {
    const full = this.#block;
    this.#block = Buffer.allocUnsafeSlow(GZIP_BLOCK_BYTES);
    this.#at = 0;
    return full;
  }
}
