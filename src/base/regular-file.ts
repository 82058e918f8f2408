import { closeSync, constants, fstatSync, openSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { type AbortOptions, canceled, EngineError } from "./errors.js";

/** All of the regular file at PATH; `invalid` if it is no regular file or larger than MAX_BYTES. System errors pass through. */
export async function readRegularFile(path: string, maxBytes: number, options?: AbortOptions): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of streamRegularFile(path, options)) {
    size += chunk.length;
    if (size > maxBytes) throw new EngineError("invalid", `${path}: larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * The bytes of the regular file at PATH from `offset` on, in large chunks that the reader owns. `invalid` if it is no regular
 * file (a FIFO would block, a device never end). System errors pass through.
 */
export async function* streamRegularFile(
  path: string,
  options: AbortOptions & { readonly offset?: number } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new EngineError("invalid", `${path}: not a regular file`);
    let position = options.offset ?? 0;
    const isSmall = stats.size - position <= SMALL_BYTES;
    for (;;) {
      if (options.signal?.aborted) throw canceled(options.signal);
      const buffer = Buffer.allocUnsafe(isSmall ? SMALL_BYTES : CHUNK_BYTES);
      const count = isSmall
        ? readSync(fd, buffer, 0, buffer.length, position)
        : (await readAsync(fd, buffer, 0, buffer.length, position)).bytesRead;
      if (count === 0) return;
      position += count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

/** Bytes asked of the kernel at once. */
const CHUNK_BYTES = 1024 * 1024;
/** A file of so few bytes is read by synchronous calls: that takes 20 µs, and by promises 400. */
const SMALL_BYTES = 64 * 1024;

const readAsync = promisify(read);
