import fs from "node:fs";
import { type BytePath, toBuffer } from "./bytes.js";
import type { StackEntry } from "./layer-stack.js";
import { sameXattrs } from "./layer-xattrs.js";

type Compared = Pick<StackEntry, "path" | "stat">;

/**
 * Whether a file is as it was: kind, mode, owner, device, attributes and, but for directories, size, mtime and content. The time of a
 * directory alone is no change.
 */
export function isUnchanged(before: Compared, after: Compared): boolean {
  const [a, b] = [before.stat, after.stat];
  if (a.kind !== b.kind || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if ((a.kind === "char" || a.kind === "block") && a.rdev !== b.rdev) return false;
  if (a.kind !== "directory" && (a.sizeBytes !== b.sizeBytes || a.mtimeNs !== b.mtimeNs)) return false;
  if (a.dev === b.dev && a.ino === b.ino) return true;
  if (a.kind === "symlink" && readLink(before.path) !== readLink(after.path)) return false;
  if (!sameXattrs(before.path, after.path)) return false;
  return a.kind !== "file" || sameContent(before.path, after.path);
}

/** The target of a symbolic link. */
export function readLink(path: BytePath): BytePath {
  return fs.readlinkSync(toBuffer(path), { encoding: "latin1" });
}

const CHUNK_BYTES = 256 << 10;

function sameContent(a: BytePath, b: BytePath): boolean {
  const first = fs.openSync(toBuffer(a), "r");
  try {
    const second = fs.openSync(toBuffer(b), "r");
    try {
      return sameBytes(first, second);
    } finally {
      fs.closeSync(second);
    }
  } finally {
    fs.closeSync(first);
  }
}

function sameBytes(a: number, b: number): boolean {
  const [first, second] = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)];
  for (;;) {
    const n = fs.readSync(a, first);
    const m = readFully(b, second.subarray(0, Math.max(n, 1)));
    if (n !== m) return false;
    if (n === 0) return true;
    if (Buffer.compare(first.subarray(0, n), second.subarray(0, n)) !== 0) return false;
  }
}

/** Reads until INTO is full or the file ends; gives the bytes read. */
function readFully(fd: number, into: Buffer): number {
  let total = 0;
  while (total < into.length) {
    const n = fs.readSync(fd, into, total, into.length - total, null);
    if (n === 0) break;
    total += n;
  }
  return total;
}
