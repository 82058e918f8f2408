import fs from "node:fs";
import { systemCode } from "../../base/index.js";
import { type BytePath, toBuffer } from "./bytes.js";
import { owned } from "./ownership.js";

export type EntryKind = "file" | "dir" | "symlink" | "fifo" | "char" | "block" | "socket";

/** What lstat(2) says of an entry. */
export interface Entry {
  readonly kind: EntryKind;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly rdev: number;
  readonly atimeNs: bigint;
  /** Undefined: the time at which it is copied. */
  readonly mtimeNs: bigint | undefined;
  /** Names it has, and what tells it from other inodes. */
  readonly links: number;
  readonly inode: string;
  /** Bytes on disk; fewer than `size` means holes. */
  readonly allocated: number;
}

const PERMISSION_BITS = 0o7777;
const BLOCK_BYTES = 512;
const ASCII = /^[\x01-\x7f]*$/;

/** A path as the cheapest thing the system takes. */
export function native(path: BytePath): string | Buffer {
  return ASCII.test(path) ? path : toBuffer(path);
}

/** lstat(2); undefined where nothing is. */
export function lstatEntry(path: BytePath): Entry | undefined {
  const stat = lstat(path);
  return stat && entryOf(owned(native(path), stat));
}

/** lstat(2) in full; undefined where nothing is (ENOENT; other errors pass through). */
export function lstat(path: BytePath): fs.BigIntStats | undefined {
  return fs.lstatSync(native(path), { bigint: true, throwIfNoEntry: false });
}

export function entryOf(stat: fs.BigIntStats): Entry {
  return {
    kind: kindOf(stat),
    mode: Number(stat.mode) & PERMISSION_BITS,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    rdev: Number(stat.rdev),
    atimeNs: stat.atimeNs,
    mtimeNs: stat.mtimeNs,
    links: Number(stat.nlink),
    inode: `${stat.dev}:${stat.ino}`,
    allocated: Number(stat.blocks) * BLOCK_BYTES,
  };
}

function kindOf(stat: fs.BigIntStats): EntryKind {
  switch (Number(stat.mode) & fs.constants.S_IFMT) {
    case fs.constants.S_IFREG:
      return "file";
    case fs.constants.S_IFDIR:
      return "dir";
    case fs.constants.S_IFLNK:
      return "symlink";
    case fs.constants.S_IFIFO:
      return "fifo";
    case fs.constants.S_IFCHR:
      return "char";
    case fs.constants.S_IFBLK:
      return "block";
    default:
      return "socket";
  }
}

/** The names in a directory, in byte order. */
export function namesIn(path: BytePath): BytePath[] {
  return fs.readdirSync(native(path), "latin1").sort();
}

/** The target of a link. */
export function linkTarget(path: BytePath): BytePath {
  return fs.readlinkSync(native(path), "latin1");
}

/** Whether the error says that nothing is at a path. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
