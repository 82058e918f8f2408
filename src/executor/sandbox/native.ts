import { cLibrary, SystemCallError } from "../../base/index.js";
import { syscallNumber } from "../seccomp-bpf.js";

/**
 * The system calls by which a process becomes a step. Everything is looked up at once: after the root has changed no file of the engine can
 * be loaded any more. All throw SystemCallError.
 */
export interface Native {
  sethostname(name: string): void;
  /** Makes the cwd, a mount point, the root; the old root is gone afterwards. */
  takeRoot(): void;
  prctl(option: number, value: number | bigint, detail: string, third?: number): void;
  /** Installs a seccomp filter for the calling thread. */
  loadFilter(program: Buffer): void;
  /** As `loadFilter`, for a program that notifies; gives the descriptor to be notified by. */
  loadSupervisedFilter(program: Buffer): number;
  /** Effective and permitted; nothing inheritable. */
  setCapabilities(mask: bigint, inheritable: bigint): void;
  setGroups(groups: readonly number[]): void;
  /** Of the calling thread only: the others do not outlive what follows. */
  setUser(uid: number, gid: number): void;
  setLimit(resource: number, soft: number, hard: number): void;
  /** Default dispositions, nothing blocked; descriptors from 3 on close at exec, the first three do not. */
  resetInheritance(): void;
  umask(mask: number): void;
  /** A session of its own, and a process group. */
  setSession(): void;
  /** Makes standard input the terminal of the session. */
  takeTerminal(): void;
  /** Brings the loopback device up. */
  raiseLoopback(): void;
  mkdirat(dirfd: number, name: string, mode: number): void;
  mknodat(dirfd: number, name: string, mode: number, device: number): void;
  symlinkat(target: string, dirfd: number, name: string): void;
  /** Does not come back, or throws. */
  execve(file: string, args: readonly string[], env: readonly string[]): never;
}

const CLOSE_RANGE_CLOEXEC = 4;
const FIRST_OWN_FD = 3;
const FD_MAX = 0xffffffff;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
const MNT_DETACH = 2;
const CAPABILITY_VERSION_3 = 0x20080522;
const F_SETFD = 2;
const SIGNALS = 64;
const SIG_SETMASK = 2;
const SIG_SETMASK_BYTES = 128;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCSIFFLAGS = 0x8914;
const TIOCSCTTY = 0x540e;
const IFF_UP_RUNNING = 0x41;

/** Looks every function up in the C library. */
export function loadNative(): Native {
  const { koffi, libc } = cLibrary();
  const int = (name: string, ...args: string[]) => libc.func(name, "int", args) as (...values: unknown[]) => number;
  const check = (value: number, call: string, detail: string): number => {
    if (value < 0) throw new SystemCallError(call, koffi.errno(), detail);
    return value;
  };
  const sethostname = int("sethostname", "str", "size_t");
  const pivotRoot = int("pivot_root", "str", "str");
  const umount2 = int("umount2", "str", "int");
  const prctl = int("prctl", "int", "ulong", "ulong", "ulong", "ulong");
  const prctlPointer = int("prctl", "int", "ulong", "void *", "ulong", "ulong");
  const capset = int("capset", "void *", "void *");
  const call = int("syscall", "long", "ulong", "ulong", "ulong");
  const callWith = int("syscall", "long", "ulong", "ulong", "void *");
  const callList = int("syscall", "long", "ulong", "void *");
  const number = (name: string) => syscallNumber(name, process.arch as "x64" | "arm64") ?? -1;
  const setrlimit = int("setrlimit", "int", "void *");
  const signal = libc.func("signal", "intptr_t", ["int", "intptr_t"]) as (...values: unknown[]) => number;
  const sigprocmask = int("sigprocmask", "int", "void *", "void *");
  const closeRange = int("close_range", "uint", "uint", "int");
  const fcntl = int("fcntl", "int", "int", "int");
  const umask = int("umask", "uint");
  const setsid = int("setsid");
  const socket = int("socket", "int", "int", "int");
  const ioctl = int("ioctl", "int", "ulong", "void *");
  const close = int("close", "int");
  const mkdirat = int("mkdirat", "int", "str", "uint");
  const mknodat = int("mknodat", "int", "str", "uint", "ulong");
  const symlinkat = int("symlinkat", "str", "int", "str");
  const execve = int("execve", "str", "const char **", "const char **");
  const header = (program: Buffer): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(program.length / 8, 0);
    bytes.writeBigUInt64LE(BigInt(koffi.address(program)), 8);
    return bytes;
  };
  return {
    sethostname: (name) => void check(sethostname(name, Buffer.byteLength(name)), "sethostname", name),
    takeRoot() {
      check(pivotRoot(".", "."), "pivot_root", ".");
      check(umount2(".", MNT_DETACH), "umount2", "the old root");
      process.chdir("/");
    },
    prctl: (option, value, detail, third = 0) => void check(prctl(option, value, third, 0, 0), "prctl", detail),
    loadFilter: (program) =>
      void check(prctlPointer(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header(program), 0, 0), "prctl", "PR_SET_SECCOMP"),
    loadSupervisedFilter: (program) =>
      check(
        callWith(number("seccomp"), SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, header(program)),
        "seccomp",
        "SECCOMP_SET_MODE_FILTER",
      ),
    setCapabilities(mask, inheritable) {
      const header = Buffer.alloc(8);
      header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
      const data = Buffer.alloc(24);
      for (const half of [0, 1]) {
        const part = (value: bigint) => Number((value >> BigInt(half * 32)) & 0xffffffffn);
        for (const [i, value] of [mask, mask, inheritable].entries())
          data.writeUInt32LE(part(value), half * 12 + i * 4);
      }
      check(capset(header, data), "capset", mask.toString(16));
    },
    setGroups(groups) {
      const list = Buffer.from(Uint32Array.from(groups).buffer);
      check(callList(number("setgroups"), groups.length, list), "setgroups", groups.join(","));
    },
    setUser(uid, gid) {
      check(call(number("setresgid"), gid, gid, gid), "setresgid", String(gid));
      check(call(number("setresuid"), uid, uid, uid), "setresuid", String(uid));
    },
    setLimit(resource, soft, hard) {
      const limit = Buffer.alloc(16);
      limit.writeBigInt64LE(BigInt(soft), 0);
      limit.writeBigInt64LE(BigInt(hard), 8);
      check(setrlimit(resource, limit), "setrlimit", String(resource));
    },
    resetInheritance() {
      for (let number = 1; number <= SIGNALS; number++) signal(number, 0);
      check(sigprocmask(SIG_SETMASK, Buffer.alloc(SIG_SETMASK_BYTES), null), "sigprocmask", "");
      for (const fd of [0, 1, 2]) check(fcntl(fd, F_SETFD, 0), "fcntl", String(fd)); // Node keeps even these to itself
      check(closeRange(FIRST_OWN_FD, FD_MAX, CLOSE_RANGE_CLOEXEC), "close_range", "");
    },
    umask: (mask) => void umask(mask),
    setSession: () => void check(setsid(), "setsid", ""),
    takeTerminal: () => void check(ioctl(0, TIOCSCTTY, null), "ioctl", "TIOCSCTTY"),
    raiseLoopback() {
      const fd = check(socket(AF_INET, SOCK_DGRAM, 0), "socket", "AF_INET");
      const request = Buffer.alloc(40);
      request.write("lo");
      request.writeUInt16LE(IFF_UP_RUNNING, 16);
      check(ioctl(fd, SIOCSIFFLAGS, request), "ioctl", "lo");
      close(fd);
    },
    mkdirat: (dirfd, name, mode) => void check(mkdirat(dirfd, name, mode), "mkdirat", name),
    mknodat: (dirfd, name, mode, device) => void check(mknodat(dirfd, name, mode, device), "mknodat", name),
    symlinkat: (target, dirfd, name) => void check(symlinkat(target, dirfd, name), "symlinkat", name),
    execve(file, args, env) {
      check(execve(file, [...args, null], [...env, null]), "execve", file);
      throw new Error("execve came back");
    },
  };
}
