import crypto from "node:crypto";
import fs from "node:fs";
import { EngineError } from "../../base/index.js";
import type { JobContext } from "./context.js";

/** Bytes read from a file at once. */
export const CHUNK_BYTES = 1024 * 1024;

let shared: Buffer | undefined;

/** The thread's one buffer for reading; what it holds is good until the next read of anybody. */
export function readBuffer(): Buffer {
  shared ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
  return shared;
}

/** Reads from FD until the buffer is full, EXPECTED bytes have come or the file ends; gives the bytes read. */
export function fill(fd: number, buffer: Buffer, expected: number = buffer.length): number {
  const enough = Math.min(expected, buffer.length);
  let size = 0;
  while (size < enough) {
    const count = fs.readSync(fd, buffer, size, buffer.length - size, null);
    if (count === 0) break;
    size += count;
  }
  return size;
}

/** The sha256 of what is left to read of FD, in hex. */
export function hashOpenFile(fd: number, context: JobContext): string {
  const buffer = readBuffer();
  let size = fill(fd, buffer);
  if (size < buffer.length) return sha256(buffer.subarray(0, size));
  const hash = crypto.createHash("sha256");
  for (; size > 0; size = fill(fd, buffer)) {
    hash.update(buffer.subarray(0, size));
    context.checkCanceled();
  }
  return hash.digest("hex");
}

/** The sha256 of BYTES in hex, without the cost of a hash object. */
export function sha256(bytes: Uint8Array): string {
  return crypto.hash("sha256", bytes, "hex");
}

/** All of the regular file FD up to MAX bytes; `invalid` beyond, named PATH. */
export function readOpenFile(fd: number, maxBytes: number, path: string): Buffer {
  const chunks: Buffer[] = [];
  const buffer = readBuffer();
  let size = 0;
  for (
    let count = fs.readSync(fd, buffer, 0, CHUNK_BYTES, null);
    count > 0;
    count = fs.readSync(fd, buffer, 0, CHUNK_BYTES, null)
  ) {
    size += count;
    if (size > maxBytes) throw new EngineError("invalid", `"${path}" exceeds ${maxBytes} bytes`);
    chunks.push(Buffer.from(buffer.subarray(0, count)));
  }
  return Buffer.concat(chunks);
}
