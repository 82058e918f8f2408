import fs from "node:fs";
import { EngineError, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, systemCode } from "../../base/index.js";
import { type BytePath, join, toBuffer, toText } from "./bytes.js";
import { isWhiteout } from "./layer-whiteout.js";
import { owned } from "./ownership.js";

/** What a directory entry is; `whiteout` says that a name of lower layers is gone (see `makeWhiteout`). */
export type FileKind = "file" | "directory" | "symlink" | "char" | "block" | "fifo" | "socket" | "whiteout";

/** What lstat(2) says of a file. */
export interface FileStat {
  readonly kind: FileKind;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** What it takes on disk. */
  readonly allocatedBytes: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** The device number of a device node. */
  readonly rdev: number;
  readonly nlink: number;
  readonly dev: bigint;
  readonly ino: bigint;
}

/** Looks at PATH without following a link; undefined where there is nothing. */
export function statOf(path: BytePath): FileStat | undefined {
  const file = toBuffer(path);
  const found = lookAt(file);
  if (!found) return undefined;
  const stat = owned(file, found);
  const mode = Number(stat.mode);
  const look = {
    type: mode & S_IFMT,
    mode: mode & 0o7777,
    rdev: Number(stat.rdev),
    sizeBytes: Number(stat.size),
  };
  return {
    kind: isWhiteout(path, look) ? "whiteout" : kindOf(look.type),
    mode: look.mode,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    sizeBytes: look.sizeBytes,
    allocatedBytes: Number(stat.blocks) * STAT_BLOCK_BYTES,
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    rdev: look.rdev,
    nlink: Number(stat.nlink),
    dev: stat.dev,
    ino: stat.ino,
  };
}

function lookAt(file: Buffer): fs.BigIntStats | undefined {
  try {
    return fs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (systemCode(error) !== "ENAMETOOLONG") throw error;
    const start = toText(file.subarray(0, LONG_PATH_SHOWN_BYTES).toString("latin1"));
    throw new EngineError("invalid", `file name too long: ${start}… has ${file.length} bytes`);
  }
}

const LONG_PATH_SHOWN_BYTES = 60;

/** Names one file on this machine, whatever it is called. */
export function inodeKey(stat: FileStat): string {
  return `${stat.dev}:${stat.ino}`;
}

/** The names in a directory, in byte order. */
export function namesIn(directory: BytePath): BytePath[] {
  return fs.readdirSync(toBuffer(directory), { encoding: "latin1" }).sort();
}

/** The names in a directory with what they are, in byte order; what vanishes meanwhile is left out. */
export function* entriesIn(directory: BytePath): Generator<{ name: BytePath; path: BytePath; stat: FileStat }> {
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    const stat = statOf(path);
    if (stat) yield { name, path, stat };
  }
}

const STAT_BLOCK_BYTES = 512;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

function kindOf(type: number): Exclude<FileKind, "whiteout"> {
  switch (type) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFCHR:
      return "char";
    case S_IFBLK:
      return "block";
    case S_IFIFO:
      return "fifo";
    default:
      return "socket";
  }
}
