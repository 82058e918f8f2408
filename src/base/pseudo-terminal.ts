import fs from "node:fs";
import { lazy } from "./lazy.js";
import { cLibrary } from "./libc.js";
import { SystemCallError } from "./syscalls.js";

/** Size of a terminal's window, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Both ends of a terminal that is none of the machine's: a program gets the device, and whoever made it writes and reads for it. */
export interface PseudoTerminal {
  /** Where what the program writes is read, and what it reads is written; the caller closes it. */
  readonly fd: number;
  /** The device. */
  readonly path: string;
}

// <asm-generic/ioctls.h>, <asm-generic/fcntl.h>: the same on amd64 and arm64.
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const TIOCSWINSZ = 0x5414;
/** Opening a terminal with it makes it nobody's controlling terminal. */
export const O_NOCTTY = fs.constants.O_NOCTTY;
const UINT16_MAX = 0xffff;

const ioctl = lazy(() => {
  const { koffi, libc } = cLibrary();
  const call = libc.func("ioctl", "int", ["int", "ulong", "void *"]) as (...values: unknown[]) => number;
  return (fd: number, request: number, argument: Buffer, name: string): void => {
    if (call(fd, request, argument) < 0) throw new SystemCallError("ioctl", koffi.errno(), name);
  };
});

/** Makes a terminal (pts(4)). Throws what the machine answers where it has none to give. */
export function openPseudoTerminal(): PseudoTerminal {
  const fd = fs.openSync("/dev/ptmx", fs.constants.O_RDWR | O_NOCTTY);
  try {
    ioctl()(fd, TIOCSPTLCK, Buffer.alloc(4), "TIOCSPTLCK");
    const number = Buffer.alloc(4);
    ioctl()(fd, TIOCGPTN, number, "TIOCGPTN");
    return { fd, path: `/dev/pts/${number.readUInt32LE()}` };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Sets the size of a terminal's window; whoever runs in the foreground there is told (SIGWINCH). */
export function resizeTerminal(fd: number, { columns, rows }: TerminalSize): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(Math.min(rows, UINT16_MAX), 0);
  size.writeUInt16LE(Math.min(columns, UINT16_MAX), 2);
  ioctl()(fd, TIOCSWINSZ, size, "TIOCSWINSZ");
}
