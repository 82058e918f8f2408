import { lazy } from "./lazy.js";
import { cLibrary } from "./libc.js";
import { closeDescriptor, SystemCallError } from "./syscalls.js";

/** UDP or TCP. */
export type SocketKind = "datagram" | "stream";

// <sys/socket.h>
const AF_INET = 2;
const SOCK_CLOEXEC = 0o2000000;
const KINDS = { datagram: 2, stream: 1 } as const;
const BACKLOG = 64;
const ADDRESS_BYTES = 16;

const library = lazy(() => {
  const { koffi, libc } = cLibrary();
  const int = (name: string, ...args: string[]) => libc.func(name, "int", args) as (...values: unknown[]) => number;
  return {
    errno: () => koffi.errno(),
    socket: int("socket", "int", "int", "int"),
    bind: int("bind", "int", "void *", "uint"),
    listen: int("listen", "int", "int"),
  };
});

/**
 * Opens a socket that takes what is sent to ADDRESS, the four bytes of an IPv4 address, and PORT in the calling thread's network namespace; from
 * then on it may be used from everywhere. The caller closes it. Throws SystemCallError.
 */
export function openListeningSocket(kind: SocketKind, address: Uint8Array, port: number): number {
  const { socket, bind, listen } = library();
  const fd = check(socket(AF_INET, KINDS[kind] | SOCK_CLOEXEC, 0), "socket", kind);
  try {
    const name = Buffer.alloc(ADDRESS_BYTES); // struct sockaddr_in
    name.writeUInt16LE(AF_INET, 0);
    name.writeUInt16BE(port, 2);
    name.set(address, 4);
    check(bind(fd, name, name.length), "bind", `port ${port}`);
    if (kind === "stream") check(listen(fd, BACKLOG), "listen", `port ${port}`);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

function check(result: number, call: string, detail: string): number {
  if (result < 0) throw new SystemCallError(call, library().errno(), detail);
  return result;
}
