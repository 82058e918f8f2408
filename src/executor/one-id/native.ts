import type koffiModule from "koffi";
import { cLibrary, closeDescriptor, SystemCallError } from "../../base/index.js";
import { syscallNumber } from "../seccomp-bpf.js";

/** A file by a descriptor, which may be O_PATH: what of it only descriptors can be asked for. */
export interface Native {
  /** Waits for something to read from FD, or its end, for so long; whether there is. */
  wait(fd: number, limitMs: number): "ready" | "ended" | "nothing";
  /** ioctl(2) with a buffer; false where the other side of the request has gone (ENOENT). */
  control(fd: number, request: number, data: Buffer): boolean;
  /** ioctl(2) with a number that an older kernel may not know: then nothing happens. */
  configure(fd: number, request: number, value: number): void;
  /** As `control`; gives the call's own result. */
  controlled(fd: number, request: number, data: Buffer): number;
  /** A socket of the Unix domain that listens at NAME below the cwd; the caller closes it. */
  listenAt(name: string): number;
  /** The first descriptor that whoever connects next sends; the caller closes it. */
  receiveDescriptor(listener: number): number;
  /** Connects to NAME below the cwd; the caller closes it. */
  connectTo(name: string): number;
  sendDescriptor(socket: number, fd: number): void;
  /** What newfstatat(2) and statx(2) say of FD itself. */
  stat(fd: number): Buffer;
  statx(fd: number, mask: number): Buffer;
  /** Gives FD itself to root, which takes the right to run as its owner from it and shows in its time of change. */
  touchOwner(fd: number): void;
  getXattr(fd: number, name: string): Buffer | undefined;
  setXattr(fd: number, name: string, value: Buffer): void;
  removeXattr(fd: number, name: string): void;
  /** Times of FD itself in nanoseconds since the epoch; undefined stays. */
  setTimes(fd: number, atimeNs: bigint | undefined, mtimeNs: bigint | "now" | undefined): void;
}

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SUN_PATH_BYTES = 108;
const BACKLOG = 1;
const POLLIN = 1;
const POLLHUP = 0x10;
const POLLERR = 8;
const EINTR = 4;
const ENOENT = 2;
const ENODATA = 61;
const AT_EMPTY_PATH = 0x1000;
const AT_FDCWD = -100;
const STAT_BYTES = 144;
const STATX_BYTES = 256;
const VALUE_MAX_BYTES = 64;
/** What a runtime says of its container beside the descriptor is not needed; larger messages are cut. */
const MESSAGE_MAX_BYTES = 64 * 1024;
const UTIME_NOW = (1n << 30n) - 1n;
const UTIME_OMIT = (1n << 30n) - 2n;
const NANOSECONDS = 1_000_000_000n;
const EMPTY = Buffer.from("\0");

/** Looks the functions up in the C library. All throw SystemCallError. */
export function loadNative(): Native {
  const { koffi, libc } = cLibrary();
  const call = (name: string, ...args: string[]) => {
    const func = libc.func(name, "int64", args) as (...values: unknown[]) => number | bigint;
    return (detail: string, ...values: unknown[]): number => {
      // An int comes in the lower half.
      const value = Number(BigInt.asIntN(32, BigInt(func(...values))));
      if (value < 0) throw new SystemCallError(name, koffi.errno(), detail);
      return value;
    };
  };
  const poll = libc.func("poll", "int", ["void *", "ulong", "int"]) as (...values: unknown[]) => number;
  const ioctl = libc.func("ioctl", "int", ["int", "ulong", "void *"]) as (...values: unknown[]) => number;
  const ioctlNumber = libc.func("ioctl", "int", ["int", "ulong", "ulong"]) as (...values: unknown[]) => number;
  const socket = call("socket", "int", "int", "int");
  const bind = call("bind", "int", "void *", "uint");
  const connect = call("connect", "int", "void *", "uint");
  const listen = call("listen", "int", "int");
  const accept = call("accept4", "int", "void *", "void *", "int");
  const recvmsg = call("recvmsg", "int", "void *", "int");
  const sendmsg = call("sendmsg", "int", "void *", "int");
  const fchownat = call("fchownat", "int", "void *", "uint", "uint", "int");
  const utimensat = call("utimensat", "int", "void *", "void *", "int");
  const setxattr = call("setxattr", "str", "str", "void *", "size_t", "int");
  const removexattr = call("removexattr", "str", "str");
  const getxattr = libc.func("getxattr", "int64", ["str", "str", "void *", "size_t"]) as (...v: unknown[]) => number;
  const syscall5 = libc.func("syscall", "int64", ["long", "int", "void *", "long", "long", "void *"]) as (
    ...values: unknown[]
  ) => number | bigint;
  const syscall4 = libc.func("syscall", "int64", ["long", "int", "void *", "void *", "long"]) as (
    ...values: unknown[]
  ) => number | bigint;
  const number = (name: string) => syscallNumber(name, process.arch as "x64" | "arm64") ?? -1;
  const [newfstatat, statx] = [number("newfstatat"), number("statx")];
  const value = Buffer.allocUnsafeSlow(VALUE_MAX_BYTES);
  const file = (fd: number) => `/proc/thread-self/fd/${fd}`;
  const controlled = (fd: number, request: number, data: Buffer) => {
    for (;;) {
      const result = ioctl(fd, request, data);
      if (result >= 0) return result;
      const errno = koffi.errno();
      if (errno !== EINTR) throw new SystemCallError("ioctl", errno, `0x${request.toString(16)}`);
    }
  };
  const message = (data: Buffer, control: Buffer): Buffer => {
    const vector = pointers(koffi, [data]);
    vector.writeBigUInt64LE(BigInt(data.length), 8);
    const header = Buffer.alloc(56);
    header.writeBigUInt64LE(BigInt(koffi.address(vector)), 16);
    header.writeBigUInt64LE(1n, 24);
    header.writeBigUInt64LE(BigInt(koffi.address(control)), 32);
    header.writeBigUInt64LE(BigInt(control.length), 40);
    kept.set(header, [vector, data, control]);
    return header;
  };
  const kept = new WeakMap<Buffer, readonly Buffer[]>();
  return {
    wait(fd, limitMs) {
      const entry = Buffer.alloc(8);
      entry.writeInt32LE(fd, 0);
      entry.writeInt16LE(POLLIN, 4);
      const count = poll(entry, 1, limitMs);
      if (count < 0) {
        if (koffi.errno() === EINTR) return "nothing";
        throw new SystemCallError("poll", koffi.errno(), `fd ${fd}`);
      }
      const events = entry.readInt16LE(6);
      if ((events & POLLIN) !== 0) return "ready";
      return (events & (POLLHUP | POLLERR)) !== 0 ? "ended" : "nothing";
    },
    control(fd, request, data) {
      try {
        controlled(fd, request, data);
        return true;
      } catch (error) {
        if (error instanceof SystemCallError && error.code === "ENOENT") return false;
        throw error;
      }
    },
    configure: (fd, request, number) => void ioctlNumber(fd, request, number),
    controlled,
    listenAt(name) {
      const fd = socket("AF_UNIX", AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
      try {
        const address = unixAddress(name);
        bind(name, fd, address, address.length);
        listen(name, fd, BACKLOG);
        return fd;
      } catch (error) {
        closeDescriptor(fd);
        throw error;
      }
    },
    receiveDescriptor(listener) {
      const connection = accept("accept4", listener, null, null, SOCK_STREAM_CLOEXEC & ~1);
      try {
        const control = Buffer.alloc(24);
        recvmsg("a descriptor", connection, message(Buffer.alloc(MESSAGE_MAX_BYTES), control), MSG_CMSG_CLOEXEC);
        if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS)
          throw new SystemCallError("recvmsg", ENOENT, "no descriptor came");
        return control.readInt32LE(16);
      } finally {
        closeDescriptor(connection);
      }
    },
    connectTo(name) {
      const fd = socket("AF_UNIX", AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
      const address = unixAddress(name);
      connect(name, fd, address, address.length);
      return fd;
    },
    sendDescriptor(to, fd) {
      const control = Buffer.alloc(24);
      control.writeBigUInt64LE(20n, 0);
      control.writeInt32LE(SOL_SOCKET, 8);
      control.writeInt32LE(SCM_RIGHTS, 12);
      control.writeInt32LE(fd, 16);
      sendmsg("a descriptor", to, message(Buffer.from("{}"), control), 0);
    },
    stat(fd) {
      const result = Buffer.alloc(STAT_BYTES);
      checked(syscall4(newfstatat, fd, EMPTY, result, AT_EMPTY_PATH), "newfstatat", koffi.errno());
      return result;
    },
    statx(fd, mask) {
      const result = Buffer.alloc(STATX_BYTES);
      checked(syscall5(statx, fd, EMPTY, AT_EMPTY_PATH, mask, result), "statx", koffi.errno());
      return result;
    },
    touchOwner: (fd) => void fchownat(`fd ${fd}`, fd, EMPTY, 0, 0, AT_EMPTY_PATH),
    getXattr(fd, name) {
      const size = Number(getxattr(file(fd), name, value, value.length));
      if (size >= 0) return Buffer.from(value.subarray(0, size));
      const errno = koffi.errno();
      if (errno === ENODATA) return undefined;
      const error = new SystemCallError("getxattr", errno, name);
      if (["ENOTSUP", "EOPNOTSUPP", "ERANGE", "EPERM"].includes(error.code)) return undefined;
      throw error;
    },
    setXattr: (fd, name, bytes) => void setxattr(name, file(fd), name, bytes, bytes.length, 0),
    removeXattr: (fd, name) => void removexattr(name, file(fd), name),
    setTimes(fd, atimeNs, mtimeNs) {
      const times = Buffer.alloc(32);
      [atimeNs, mtimeNs].forEach((ns, i) => {
        const special = ns === undefined ? UTIME_OMIT : ns === "now" ? UTIME_NOW : undefined;
        times.writeBigInt64LE(typeof ns === "bigint" ? ns / NANOSECONDS : 0n, i * 16);
        times.writeBigInt64LE(special ?? (typeof ns === "bigint" ? ns % NANOSECONDS : 0n), i * 16 + 8);
      });
      utimensat(`fd ${fd}`, fd < 0 ? AT_FDCWD : fd, EMPTY, times, AT_EMPTY_PATH);
    },
  };
}

function checked(result: number | bigint, name: string, errno: number): void {
  if (Number(result) < 0) throw new SystemCallError(name, errno, "");
}

function pointers(koffi: typeof koffiModule, buffers: readonly Buffer[]): Buffer {
  const table = Buffer.alloc(16);
  buffers.forEach((buffer, i) => {
    table.writeBigUInt64LE(BigInt(koffi.address(buffer)), i * 8);
  });
  return table;
}

function unixAddress(name: string): Buffer {
  const address = Buffer.alloc(2 + SUN_PATH_BYTES);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(name, 2, SUN_PATH_BYTES - 1, "latin1");
  return address;
}
