import os from "node:os";
import { EngineError } from "./errors.js";
import { lazy } from "./lazy.js";
import { cLibrary } from "./libc.js";

/**
 * The system calls Node lacks, through libc. All act on the calling thread's root, cwd, umask and mount namespace.
 * Every function throws a `SystemCallError` with the errno name in `code` unless it says otherwise.
 * Paths are bytes: a Buffer is passed as it is, a string as UTF-8.
 */
export type Path = string | Buffer;

/** A failed system call: `code` is the errno name (`ENOENT`), `syscall` its name, as in Node's own errors. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string, errno: number, detail: string) {
    const code = errnoName(errno);
    super(`${syscall} ${detail}: ${code}`);
    this.name = "SystemCallError";
    this.code = code;
    this.syscall = syscall;
  }
}

const ERRNO_NAMES = lazy(() => new Map(Object.entries(os.constants.errno).map(([name, value]) => [value, name])));

function errnoName(errno: number): string {
  return ERRNO_NAMES().get(errno) ?? (errno === ENODATA ? "ENODATA" : `E${errno}`);
}

const ENODATA = 61;
const EINTR = 4;
const EAGAIN = 11;

// <linux/mount.h>, <linux/sched.h>, <sys/file.h>, <fcntl.h>, <linux/xattr.h>
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MNT_DETACH = 2;
export const CLONE_FS = 0x200;
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWNET = 0x40000000;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const F_GETLK = 5;
const F_SETLK = 6;
const F_OFD_SETLK = 37;
/** Where `struct flock` has the process's id. */
const LOCK_PID_AT = 24;
const F_WRLCK = 1;
const F_UNLCK = 2;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const SYS_OPENAT2 = 437;
const XATTR_SIZE_MAX_BYTES = 65_536;
const XATTR_LIST_MAX_BYTES = 65_536;
const NANOSECONDS_PER_SECOND = 1_000_000_000n;
const UTIME_OMIT = (1n << 30n) - 2n;

export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;

const library = lazy(() => {
  const { koffi, libc } = cLibrary();
  const int = (name: string, ...args: string[]) => libc.func(name, "int", args) as (...values: unknown[]) => number;
  return {
    errno: () => koffi.errno(),
    mount: int("mount", "void *", "void *", "void *", "ulong", "void *"),
    umount2: int("umount2", "void *", "int"),
    unshare: int("unshare", "int"),
    setns: int("setns", "int", "int"),
    chroot: int("chroot", "void *"),
    fchdir: int("fchdir", "int"),
    umask: int("umask", "uint"),
    mknod: int("mknod", "void *", "uint", "ulong"),
    flock: int("flock", "int", "int"),
    fcntl: int("fcntl", "int", "int", "void *"),
    utimensat: int("utimensat", "int", "void *", "void *", "int"),
    lsetxattr: int("lsetxattr", "void *", "void *", "void *", "size_t", "int"),
    lremovexattr: int("lremovexattr", "void *", "void *"),
    lgetxattr: libc.func("lgetxattr", "int64", ["void *", "void *", "void *", "size_t"]) as (
      ...values: unknown[]
    ) => number | bigint,
    llistxattr: libc.func("llistxattr", "int64", ["void *", "void *", "size_t"]) as (
      ...values: unknown[]
    ) => number | bigint,
    openat2: libc.func("long syscall(long number, int dirfd, const void *path, const void *how, size_t size)") as (
      ...values: unknown[]
    ) => number | bigint,
    close: int("close", "int"),
    gettid: int("gettid"),
    syncfs: int("syncfs", "int"),
    _exit: int("_exit", "int"),
  };
});

function bytes(text: Path): Buffer {
  const raw = typeof text === "string" ? Buffer.from(text) : text;
  if (raw.includes(0)) throw new EngineError("invalid", `a path holds a NUL byte: ${JSON.stringify(raw.toString())}`);
  return Buffer.concat([raw, ZERO]);
}
const ZERO = Buffer.alloc(1);

function check(result: number, syscall: string, detail: () => string): number {
  if (result >= 0) return result;
  throw new SystemCallError(syscall, library().errno(), detail());
}

/** mount(2). DATA is the file system's option string. */
export function mount(source: Path, target: Path, type: string, flags: number, data = ""): void {
  const result = library().mount(bytes(source), bytes(target), bytes(type), flags, bytes(data));
  check(result, "mount", () => `${type} on ${target}`);
}

/** umount2(2). */
export function unmount(target: Path, flags = 0): void {
  check(library().umount2(bytes(target), flags), "umount2", () => String(target));
}

/** unshare(2) of the calling thread. */
export function unshare(flags: number): void {
  check(library().unshare(flags), "unshare", () => `0x${flags.toString(16)}`);
}

/** setns(2) of the calling thread. */
export function setns(fd: number, type: number): void {
  check(library().setns(fd, type), "setns", () => `fd ${fd}`);
}

/** The calling thread's id, as under /proc/self/task. */
export function threadId(): number {
  return library().gettid();
}

/** fchdir(2) of the calling thread (or process, where it shares its cwd). */
export function changeDirectory(fd: number): void {
  check(library().fchdir(fd), "fchdir", () => `fd ${fd}`);
}

/** chroot(2) of the calling thread to its cwd. */
export function chrootHere(): void {
  check(library().chroot(bytes(".")), "chroot", () => ".");
}

/** Sets the calling thread's umask; gives the former one. */
export function setUmask(mask: number): number {
  return library().umask(mask);
}

/** mknod(2). MODE holds the type bits; the umask applies. */
export function makeNode(path: Path, mode: number, rdev = 0): void {
  check(library().mknod(bytes(path), mode, rdev), "mknod", () => String(path));
}

/** Sets times in nanoseconds since the epoch, never following a link; without a time of access, that stays. */
export function setTimes(path: Path, atimeNs: bigint | undefined, mtimeNs: bigint): void {
  const times = Buffer.alloc(32);
  [atimeNs, mtimeNs].forEach((ns, i) => {
    if (ns === undefined) {
      times.writeBigInt64LE(UTIME_OMIT, i * 16 + 8);
      return;
    }
    const rest = ((ns % NANOSECONDS_PER_SECOND) + NANOSECONDS_PER_SECOND) % NANOSECONDS_PER_SECOND;
    times.writeBigInt64LE((ns - rest) / NANOSECONDS_PER_SECOND, i * 16);
    times.writeBigInt64LE(rest, i * 16 + 8);
  });
  check(library().utimensat(AT_FDCWD, bytes(path), times, AT_SYMLINK_NOFOLLOW), "utimensat", () => String(path));
}

/** An extended attribute's bytes, never following a link; undefined where it is not set or the file system has none. */
export function getXattr(path: Path, name: string): Buffer | undefined {
  const value = xattrBytes();
  const size = Number(library().lgetxattr(bytes(path), bytes(name), value, value.length));
  if (size >= 0) return Buffer.from(value.subarray(0, size));
  const errno = library().errno();
  if (errno === ENODATA || errno === os.constants.errno.ENOTSUP || errno === os.constants.errno.EPERM) return undefined;
  throw new SystemCallError("lgetxattr", errno, `${name} of ${path}`);
}

/** One buffer for all values and lists of names: asking for them is much of the work of a copy. */
const xattrBytes = lazy(() => Buffer.allocUnsafeSlow(Math.max(XATTR_SIZE_MAX_BYTES, XATTR_LIST_MAX_BYTES)));

/** The names of a file's extended attributes, never following a link. */
export function listXattrs(path: Path): string[] {
  const names = xattrBytes();
  const size = Number(library().llistxattr(bytes(path), names, names.length));
  if (size < 0) {
    const errno = library().errno();
    if (errno === os.constants.errno.ENOTSUP) return [];
    throw new SystemCallError("llistxattr", errno, String(path));
  }
  return size === 0 ? [] : names.toString("latin1", 0, size - 1).split("\0");
}

/** Sets an extended attribute, never following a link. */
export function setXattr(path: Path, name: string, value: Uint8Array): void {
  check(library().lsetxattr(bytes(path), bytes(name), value, value.length, 0), "lsetxattr", () => `${name} of ${path}`);
}

/** Removes an extended attribute, never following a link. */
export function removeXattr(path: Path, name: string): void {
  check(library().lremovexattr(bytes(path), bytes(name)), "lremovexattr", () => `${name} of ${path}`);
}

/** flock(2), non-blocking: whether the lock was taken. It ends with the last copy of the open file FD. */
export function tryLock(fd: number, kind: "shared" | "exclusive"): boolean {
  for (;;) {
    if (library().flock(fd, (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return true;
    const errno = library().errno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) throw new SystemCallError("flock", errno, `fd ${fd}`);
  }
}

/**
 * Locks byte OFFSET of the open file FD (fcntl(2), F_OFD_SETLK), whether it is there or not, against other open files; non-blocking:
 * whether the lock was taken. It ends with the last copy of FD.
 */
export function tryLockByte(fd: number, offset: bigint): boolean {
  for (;;) {
    if (library().fcntl(fd, F_OFD_SETLK, byteLock(F_WRLCK, offset)) === 0) return true;
    const errno = library().errno();
    if (errno === EAGAIN || errno === os.constants.errno.EACCES) return false;
    if (errno !== EINTR) throw new SystemCallError("fcntl", errno, `fd ${fd}`);
  }
}

/** Ends a lock of `tryLockByte`. */
export function unlockByte(fd: number, offset: bigint): void {
  check(library().fcntl(fd, F_OFD_SETLK, byteLock(F_UNLCK, offset)), "fcntl", () => `fd ${fd}`);
}

/**
 * Signs byte OFFSET of the open file FD with this process's id (fcntl(2), F_SETLK), unless another one has: locks of open files, unlike
 * those of processes, tell nobody whose they are. The signature ends when the process closes any copy of the file.
 */
export function signByte(fd: number, offset: bigint): void {
  library().fcntl(fd, F_SETLK, byteLock(F_WRLCK, offset));
}

export function unsignByte(fd: number, offset: bigint): void {
  library().fcntl(fd, F_SETLK, byteLock(F_UNLCK, offset));
}

/** The process that has signed byte OFFSET, if another one has that can be seen from here. */
export function signerOf(fd: number, offset: bigint): number | undefined {
  const lock = byteLock(F_WRLCK, offset);
  if (library().fcntl(fd, F_GETLK, lock) !== 0 || lock.readInt16LE(0) === F_UNLCK) return undefined;
  const pid = lock.readInt32LE(LOCK_PID_AT);
  return pid > 0 ? pid : undefined;
}

/** `struct flock` of one byte, from the beginning of the file. */
function byteLock(type: number, offset: bigint): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(type, 0);
  lock.writeBigInt64LE(offset, 8);
  lock.writeBigInt64LE(1n, 16);
  return lock;
}

/** Makes everything written to FD's file system durable. Blocks: call it off the main thread. */
export function syncFileSystem(fd: number): void {
  check(library().syncfs(fd), "syncfs", () => `fd ${fd}`);
}

/**
 * _exit(2): ends the process at once, whatever its threads are doing. Node's own exit stops them first, which aborts the process when one
 * of them is loading an addon.
 */
export function exitAtOnce(code: number): never {
  library()._exit(code);
  throw new EngineError("internal", "the process goes on after its end");
}

export const RESOLVE_IN_ROOT = 0x10;

/** Closes a descriptor of `openAt2`: Node, which has not opened it, would warn. */
export function closeDescriptor(fd: number): void {
  check(library().close(fd), "close", () => `fd ${fd}`);
}

/** openat2(2): opens PATH below DIRFD under RESOLVE rules; the caller closes it with `closeDescriptor`. */
export function openAt2(
  dirfd: number,
  path: Path,
  how: { readonly flags: number; readonly mode?: number; readonly resolve: number },
): number {
  const open_how = Buffer.alloc(24);
  open_how.writeBigUInt64LE(BigInt(how.flags), 0);
  open_how.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
  open_how.writeBigUInt64LE(BigInt(how.resolve), 16);
  return check(Number(library().openat2(SYS_OPENAT2, dirfd, bytes(path), open_how, open_how.length)), "openat2", () =>
    String(path),
  );
}

/** The device number of (MAJOR, MINOR) as mknod(2) takes it (glibc's makedev). */
export function makeDevice(major: number, minor: number): number {
  const wide =
    ((BigInt(major) & 0xfffff000n) << 32n) |
    ((BigInt(major) & 0xfffn) << 8n) |
    ((BigInt(minor) & 0xffffff00n) << 12n) |
    (BigInt(minor) & 0xffn);
  return Number(wide);
}

/** The (major, minor) of a device number as stat(2) gives it. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const wide = BigInt(rdev);
  return {
    major: Number(((wide >> 32n) & 0xfffff000n) | ((wide >> 8n) & 0xfffn)),
    minor: Number(((wide >> 12n) & 0xffffff00n) | (wide & 0xffn)),
  };
}
