import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type AbortOptions, canceled, EngineError } from "./errors.js";

/** Bytes asked of the kernel at once. */
const CHUNK_BYTES = 1024 * 1024;

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
  const file = await openRegularFile(path);
  try {
    let position = options.offset ?? 0;
    for (;;) {
      if (options.signal?.aborted) throw canceled(options.signal);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function openRegularFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if ((await file.stat()).isFile()) return file;
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  throw new EngineError("invalid", `${path}: not a regular file`);
}
