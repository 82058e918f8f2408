import crypto from "node:crypto";
import fs from "node:fs";
import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import type { Entry } from "./file-entry.js";
import { naming } from "./file-errors.js";
import { CHUNK_BYTES, fill, readBuffer, sha256 } from "./file-read.js";
import type { FileView } from "./file-view.js";

/** Copies the content of a regular file into the open file TO; throws `changed` where it is not what the scan saw. */
export function copyContent(view: FileView, { path, entry, to }: ContentCopy, context: JobContext): void {
  const from = view.open(path);
  try {
    const buffer = readBuffer();
    const size = naming("read", path, () => fill(from, buffer, entry.size));
    if (size < CHUNK_BYTES) {
      if (view.knowsContent(path)) view.checkContent(path, sha256(buffer.subarray(0, size)));
      if (isSparse(entry)) writeSparse(to, buffer, { size, offset: 0, path });
      else if (size > 0) write(to, buffer, size, path);
      if (isSparse(entry)) fs.ftruncateSync(to, size);
      return;
    }
    copyLarge(view, { from, to, path, sparse: isSparse(entry), first: size }, context);
  } finally {
    fs.closeSync(from);
  }
}

export interface ContentCopy {
  readonly path: BytePath;
  readonly entry: Entry;
  readonly to: number;
}

interface LargeCopy {
  readonly from: number;
  readonly to: number;
  readonly path: BytePath;
  readonly sparse: boolean;
  /** Bytes that the buffer holds already. */
  readonly first: number;
}

function copyLarge(view: FileView, { from, to, path, sparse, first }: LargeCopy, context: JobContext): void {
  const buffer = readBuffer();
  const hash = view.knowsContent(path) ? crypto.createHash("sha256") : undefined;
  let offset = 0;
  for (let size = first; size > 0; size = naming("read", path, () => fill(from, buffer))) {
    context.checkCanceled();
    hash?.update(buffer.subarray(0, size));
    if (sparse) writeSparse(to, buffer, { size, offset, path });
    else write(to, buffer, size, path);
    offset += size;
    context.report({ current: offset, unit: "bytes" });
  }
  if (sparse) fs.ftruncateSync(to, offset);
  if (hash) view.checkContent(path, hash.digest("hex"));
}

function write(to: number, buffer: Buffer, size: number, path: BytePath): void {
  naming("write", path, () => {
    for (let done = 0; done < size; ) done += fs.writeSync(to, buffer, done, size - done, null);
  });
}

/** Fewer bytes on disk than in the file: it has holes. */
function isSparse(entry: Entry): boolean {
  return entry.allocated + HOLE_BYTES <= entry.size;
}

/** Holes are looked for in blocks of this size. */
const HOLE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

function writeSparse(
  to: number,
  buffer: Buffer,
  { size, offset, path }: { readonly size: number; readonly offset: number; readonly path: BytePath },
): void {
  naming("write", path, () => {
    for (let at = 0; at < size; at += HOLE_BYTES) {
      const end = Math.min(at + HOLE_BYTES, size);
      if (buffer.subarray(at, end).equals(ZEROS.subarray(0, end - at))) continue;
      for (let done = at; done < end; ) done += fs.writeSync(to, buffer, done, end - done, offset + done);
    }
  });
}
