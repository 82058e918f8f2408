import fs from "node:fs";
import {
  EngineError,
  getXattr,
  listXattrs,
  makeNode,
  removeXattr,
  S_IFBLK,
  S_IFCHR,
  S_IFMT,
  S_IFREG,
  setTimes as setBothTimes,
  setXattr,
  systemCode,
} from "../../base/index.js";
import type { Ownership } from "../user-namespace.js";
import {
  formatNote,
  NOTE_XATTR,
  type NotedDevice,
  type OwnerNote,
  ownerOfTime,
  parseNote,
  saysNothing,
  timeOfOwner,
} from "./owner-note.js";

/** How this thread's files have owners; one per process, told to each of its threads when they start. */
let kind: Ownership["kind"] = "machine";
const S_IFDIR = 0o040000;
const PERMISSION_BITS = 0o7777;
type Path = string | Buffer;

/** To be called once, before any other function here. */
export function setOwnership(ownership: Ownership["kind"]): void {
  kind = ownership;
}

/**
 * Gives FILE an owner, never following a link. As the kernel does, takes the right to run as its owner from it. Throws like lchown(2), but
 * EngineError `invalid` for an owner beyond the ids that the user was granted.
 */
export function chown(file: Path, uid: number, gid: number): void {
  if (kind === "machine") {
    fs.lchownSync(file, uid, gid);
    return;
  }
  if (kind === "subordinate") {
    chownMapped(file, uid, gid);
    return;
  }
  fs.lchownSync(file, 0, 0);
  const stat = fs.lstatSync(file, { bigint: true });
  const note = { uid, gid, device: noteOf(file, stat)?.device };
  if (!hasAttributes(Number(stat.mode))) noteInTime(file, note, stat);
  else if (!saysNothing(note)) setXattr(file, NOTE_XATTR, formatNote(note));
  else if (listXattrs(file).includes(NOTE_XATTR)) removeXattr(file, NOTE_XATTR);
}

/** An owner that has no id in this namespace is refused as invalid (chown(2)). */
function chownMapped(file: Path, uid: number, gid: number): void {
  try {
    fs.lchownSync(file, uid, gid);
  } catch (error) {
    if (systemCode(error) !== "EINVAL") throw error;
    throw new EngineError("invalid", `the owner ${uid}:${gid} of a file is beyond the ids that this user was granted`, {
      cause: error,
      hint: "have more granted in /etc/subuid and /etc/subgid",
    });
  }
}

/** Gives FILE, which no layer holds, to a user of a step. Where owners are noted all of them may use it, noted or not. */
export function lend(file: Path, uid: number, gid: number): void {
  try {
    chown(file, uid, gid);
  } catch (error) {
    if (kind !== "single" || !["ENOTSUP", "EOPNOTSUPP"].includes(systemCode(error) ?? "")) throw error;
  }
}

/** Makes a device node; MODE holds its type. */
export function makeDeviceNode(file: Path, mode: number, rdev: number): void {
  if (kind === "machine") {
    makeNode(file, mode, rdev);
    return;
  }
  const flags = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
  fs.closeSync(fs.openSync(file, flags, mode & PERMISSION_BITS));
  const device: NotedDevice = { kind: (mode & S_IFMT) === S_IFCHR ? "char" : "block", rdev };
  setXattr(file, NOTE_XATTR, formatNote({ uid: 0, gid: 0, device }));
}

/** Sets times in nanoseconds since the epoch, never following a link. Where owners are in times of access, those stay. */
export function setTimes(file: Path, atimeNs: bigint, mtimeNs: bigint): void {
  setBothTimes(file, kind === "single" ? undefined : atimeNs, mtimeNs);
}

/** What lstat(2) says of a file, as far as notes are about it. */
export interface OwnedStat {
  readonly mode: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: bigint;
  readonly rdev: bigint;
  readonly atimeNs: bigint;
}

/** What a file is to be, where that is not what STAT says of it. */
export function noteOf(
  file: Path,
  { mode, size, atimeNs }: Pick<OwnedStat, "mode" | "size" | "atimeNs">,
): OwnerNote | undefined {
  if (kind === "machine") return undefined;
  // With ids of their own only devices need a note.
  if (kind === "subordinate" && ((Number(mode) & S_IFMT) !== S_IFREG || size !== 0n)) return undefined;
  if (!hasAttributes(Number(mode))) return ownerOfTime(atimeNs);
  const value = getXattr(file, NOTE_XATTR);
  const note = value && parseNote(value);
  if (note === undefined || kind === "single") return note;
  return note.device && note;
}

/** STAT as it is to be: with the owner that is noted, and as a device. */
export function owned<S extends OwnedStat>(file: Path, stat: S): S {
  const note = noteOf(file, stat);
  if (note === undefined) return stat;
  const { device } = note;
  const ids = kind === "single" ? { uid: BigInt(note.uid), gid: BigInt(note.gid) } : {};
  const node = device && {
    mode: (stat.mode & BigInt(PERMISSION_BITS)) | BigInt(device.kind === "char" ? S_IFCHR : S_IFBLK),
    rdev: BigInt(device.rdev),
  };
  // The time is no time: nothing may take it over.
  const time = hasAttributes(Number(stat.mode)) ? {} : { atimeNs: 0n };
  return Object.assign(Object.create(stat), ids, node, time);
}

/** Whether files of a type can have attributes of users (xattr(7)). */
function hasAttributes(mode: number): boolean {
  const type = mode & S_IFMT;
  return type === S_IFREG || type === S_IFDIR;
}

function noteInTime(file: Path, note: OwnerNote, stat: fs.BigIntStats): void {
  const time = saysNothing(note) ? stat.mtimeNs : timeOfOwner(note);
  if (time !== undefined) {
    setBothTimes(file, time, stat.mtimeNs);
    if (saysNothing(note) || fs.lstatSync(file, { bigint: true }).atimeNs === time) return;
  }
  throw new EngineError(
    "unsupported",
    `the owner ${note.uid}:${note.gid} of a link can't be noted in this file system`,
    {
      hint: "have subordinate ids granted in /etc/subuid and /etc/subgid",
    },
  );
}
