import fs from "node:fs";
import { deviceNumbers } from "../../base/index.js";
import type { OwnerNote } from "../../snapshot/index.js";
import type { CredentialTable } from "./credentials.js";
import type { Native } from "./native.js";
import { NotedFile } from "./noted-file.js";
import { type Answer, CONTINUE, DONE, type Notification } from "./notification.js";
import { directoryOf, type FileName, HERE, type Tracee } from "./tracee.js";

/** What a call about files is answered with. */
export interface FileCallContext {
  readonly native: Native;
  readonly tracee: Tracee;
  readonly table: CredentialTable;
  /** Whether the caller still waits; to be asked when its files are open, before they or its memory are changed. */
  readonly isWaiting: () => boolean;
}

export type FileCall = (call: Notification, context: FileCallContext) => Answer;

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const EPERM = 1;
const KEEP = 0xffff_ffff;
const UTIME_NOW = (1n << 30n) - 1n;
const UTIME_OMIT = (1n << 30n) - 2n;
const NANOSECONDS = 1_000_000_000n;

/** The calls that show owners and change them, by name. */
export const FILE_CALLS: Readonly<Record<string, FileCall>> = {
  chown: ({ args: [path, uid, gid] }, context) => chown({ path, follow: true }, [uid, gid], context),
  lchown: ({ args: [path, uid, gid] }, context) => chown({ path, follow: false }, [uid, gid], context),
  fchown: ({ args: [fd, uid, gid] }, context) => chown({ dirfd: fd, follow: true }, [uid, gid], context),
  fchownat: ({ args: [dirfd, path, uid, gid, flags] }, context) =>
    chown({ dirfd, path, ...flagsOf(flags) }, [uid, gid], context),
  stat: ({ args: [path, into] }, context) => stat({ path, follow: true }, into, context),
  lstat: ({ args: [path, into] }, context) => stat({ path, follow: false }, into, context),
  fstat: ({ args: [fd, into] }, context) => stat({ dirfd: fd, follow: true }, into, context),
  newfstatat: ({ args: [dirfd, path, into, flags] }, context) =>
    stat({ dirfd, path, ...flagsOf(flags) }, into, context),
  statx: ({ args: [dirfd, path, flags, mask, into] }, context) =>
    statx({ dirfd, path, ...flagsOf(flags) }, { mask: Number(mask), into }, context),
  utimensat: ({ args: [dirfd, path, times] }, context) => setLinkTimes({ dirfd, path, follow: false }, times, context),
};

/** Arguments that name a file. */
interface NameArguments {
  readonly dirfd?: bigint | undefined;
  /** The address of a text; absent where a call takes a descriptor only. */
  readonly path?: bigint | undefined;
  readonly follow: boolean;
  /** Whether an empty text means the descriptor itself. */
  readonly empty?: boolean;
}

function flagsOf(flags: bigint | undefined): Pick<NameArguments, "follow" | "empty"> {
  const bits = Number(flags ?? 0n);
  return { follow: (bits & AT_SYMLINK_NOFOLLOW) === 0, empty: (bits & AT_EMPTY_PATH) !== 0 };
}

/** Does WORK with the file that is named; where it can't be opened from here the kernel is to say why. */
function withFile(
  name: NameArguments,
  context: FileCallContext,
  work: (file: NotedFile, fd: number) => Answer,
): Answer {
  const { tracee, native } = context;
  const file = fileName(name, tracee);
  if (file.path === "" && name.path !== undefined && name.empty !== true) return CONTINUE; // ENOENT
  using place = tracee.place(file);
  if (file.path === "") return work(new NotedFile(native, place.base), place.base);
  const fd = place.open(file.path, name.follow);
  try {
    return work(new NotedFile(native, fd), fd);
  } finally {
    fs.closeSync(fd);
  }
}

export function fileName({ dirfd, path }: Pick<NameArguments, "dirfd" | "path">, tracee: Tracee): FileName {
  const text = path === undefined || path === 0n ? "" : tracee.readText(path);
  return { path: text, dirfd: dirfd === undefined ? HERE : directoryOf(dirfd) };
}

function chown(name: NameArguments, ids: readonly (bigint | undefined)[], context: FileCallContext): Answer {
  const [uid, gid] = ids.map((id) => Number(BigInt.asUintN(32, id ?? 0n))).map((id) => (id === KEEP ? undefined : id));
  return withFile(name, context, (file) => {
    const { fsuid, gid: own, egid, groups } = context.table.of(context.tracee.tid);
    if (fsuid !== 0) {
      const owner = file.note()?.uid ?? 0;
      const groupIsOwn = gid === undefined || [own, egid, ...groups].includes(gid);
      if (owner !== fsuid || (uid !== undefined && uid !== owner) || !groupIsOwn)
        return { kind: "error", errno: EPERM };
    }
    if (!context.isWaiting()) return CONTINUE;
    file.chown(uid, gid);
    return DONE;
  });
}

function stat(name: NameArguments, into: bigint | undefined, context: FileCallContext): Answer {
  return withFile(name, context, (file, fd) => {
    const note = file.note();
    if (!note || !context.isWaiting()) return CONTINUE;
    const data = context.native.stat(fd);
    const at = STAT_FIELDS[process.arch === "arm64" ? "arm64" : "x64"];
    data.writeUInt32LE(note.uid, at.uid);
    data.writeUInt32LE(note.gid, at.gid);
    if (note.device) {
      data.writeUInt32LE(deviceMode(data.readUInt32LE(at.mode), note.device), at.mode);
      data.writeBigUInt64LE(BigInt(note.device.rdev), at.rdev);
    }
    if (file.isTimed) data.copyWithin(at.atime, at.mtime, at.mtime + TIME_BYTES);
    context.tracee.write(into ?? 0n, data.subarray(0, at.bytes));
    return DONE;
  });
}

/** <asm/stat.h>, struct stat. */
const STAT_FIELDS = {
  x64: { bytes: 144, mode: 24, uid: 28, gid: 32, rdev: 40, atime: 72, mtime: 88 },
  arm64: { bytes: 128, mode: 16, uid: 24, gid: 28, rdev: 32, atime: 72, mtime: 88 },
} as const;
const TIME_BYTES = 16;

function statx(
  name: NameArguments,
  { mask, into }: { readonly mask: number; readonly into: bigint | undefined },
  context: FileCallContext,
): Answer {
  return withFile(name, context, (file, fd) => {
    const note = file.note();
    if (!note || !context.isWaiting()) return CONTINUE;
    const data = context.native.statx(fd, mask);
    data.writeUInt32LE(note.uid, STATX_FIELDS.uid);
    data.writeUInt32LE(note.gid, STATX_FIELDS.gid);
    if (note.device) {
      data.writeUInt16LE(deviceMode(data.readUInt16LE(STATX_FIELDS.mode), note.device), STATX_FIELDS.mode);
      const { major, minor } = deviceNumbers(note.device.rdev);
      data.writeUInt32LE(major, STATX_FIELDS.rdevMajor);
      data.writeUInt32LE(minor, STATX_FIELDS.rdevMinor);
    }
    if (file.isTimed) data.copyWithin(STATX_FIELDS.atime, STATX_FIELDS.mtime, STATX_FIELDS.mtime + TIME_BYTES);
    context.tracee.write(into ?? 0n, data);
    return DONE;
  });
}

/** <linux/stat.h>, struct statx. */
const STATX_FIELDS = { uid: 20, gid: 24, mode: 28, atime: 64, mtime: 112, rdevMajor: 128, rdevMinor: 132 } as const;

function deviceMode(mode: number, device: NonNullable<OwnerNote["device"]>): number {
  const { S_IFMT, S_IFCHR, S_IFBLK } = fs.constants;
  return (mode & ~S_IFMT & 0xffff) | (device.kind === "char" ? S_IFCHR : S_IFBLK);
}

/** Sets the times of a link (or of what has its owner in its time of access) and keeps that. */
function setLinkTimes(name: NameArguments, times: bigint | undefined, context: FileCallContext): Answer {
  if (name.path === undefined || name.path === 0n) return CONTINUE;
  return withFile(name, context, (file, fd) => {
    if (!file.isTimed || !file.note() || !context.isWaiting()) return CONTINUE;
    const mtimeNs = times === undefined || times === 0n ? "now" : timeOf(context.tracee.read(times + 16n, TIME_BYTES));
    context.native.setTimes(fd, undefined, mtimeNs);
    return DONE;
  });
}

function timeOf(spec: Buffer): bigint | "now" | undefined {
  const nanoseconds = spec.readBigInt64LE(8);
  if (nanoseconds === UTIME_NOW) return "now";
  return nanoseconds === UTIME_OMIT ? undefined : spec.readBigInt64LE(0) * NANOSECONDS + nanoseconds;
}
