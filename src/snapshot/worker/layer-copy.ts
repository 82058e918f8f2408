import fs from "node:fs";
import { EngineError, makeNode, S_IFBLK, S_IFCHR, S_IFIFO } from "../../base/index.js";
import { type BytePath, toBuffer, toText } from "./bytes.js";
import { readLink } from "./layer-compare.js";
import type { StackEntry } from "./layer-stack.js";
import type { FileStat } from "./layer-stat.js";
import { makeWhiteout } from "./layer-whiteout.js";
import { setXattrs, xattrsOf } from "./layer-xattrs.js";
import { chown, makeDeviceNode, setTimes } from "./ownership.js";

type Copied = Pick<StackEntry, "path" | "stat">;

/** Owner, mode, attributes and time of a file. */
export interface FileMetadata {
  readonly stat: Pick<FileStat, "kind" | "mode" | "uid" | "gid" | "mtimeNs">;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** The metadata of a file, as `applyMetadata` takes it. */
export function metadataOf({ path, stat }: Copied): FileMetadata {
  return { stat, xattrs: xattrsOf(path) };
}

/** Sets owner, mode, attributes and time, in the order in which none undoes another. Links are not followed. */
export function applyMetadata(path: BytePath, { stat, xattrs }: FileMetadata): void {
  const file = toBuffer(path);
  chown(file, stat.uid, stat.gid);
  if (stat.kind !== "symlink") fs.chmodSync(file, stat.mode);
  setXattrs(path, xattrs);
  setTimes(file, stat.mtimeNs, stat.mtimeNs);
}

/** Copies everything but a directory or a socket to TARGET, which must not exist, without its metadata. */
export function copyContent({ path, stat }: Copied, target: BytePath, onBytes: (bytes: number) => void): void {
  switch (stat.kind) {
    case "file":
      copyBytes(path, target, stat, onBytes);
      break;
    case "symlink":
      fs.symlinkSync(toBuffer(readLink(path)), toBuffer(target));
      break;
    case "fifo":
      makeNode(toBuffer(target), S_IFIFO | 0o600);
      break;
    case "char":
      makeDeviceNode(toBuffer(target), S_IFCHR | 0o600, stat.rdev);
      break;
    case "block":
      makeDeviceNode(toBuffer(target), S_IFBLK | 0o600, stat.rdev);
      break;
    case "whiteout":
      makeWhiteout(target);
      break;
    case "directory":
    case "socket":
      throw new EngineError("internal", `copying the ${stat.kind} ${toText(path)}`);
  }
}

const CHUNK_BYTES = 256 << 10;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

/** Holes stay holes. */
function copyBytes(source: BytePath, target: BytePath, stat: FileStat, onBytes: (bytes: number) => void): void {
  const sparse = stat.allocatedBytes < stat.sizeBytes;
  const from = fs.openSync(toBuffer(source), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  try {
    const flags = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
    const to = fs.openSync(toBuffer(target), flags, 0o600);
    try {
      let position = 0;
      for (;;) {
        const n = fs.readSync(from, chunk, 0, CHUNK_BYTES, null);
        if (n === 0) break;
        const hole = sparse && chunk.subarray(0, n).equals(ZEROS.subarray(0, n));
        if (!hole) writeFully(to, chunk.subarray(0, n), position);
        position += n;
        onBytes(n);
      }
      if (sparse) fs.ftruncateSync(to, position);
    } finally {
      fs.closeSync(to);
    }
  } finally {
    fs.closeSync(from);
  }
}

/** Writes all of BYTES at POSITION. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
}
