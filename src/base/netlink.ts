import { lazy } from "./lazy.js";
import { cLibrary } from "./libc.js";
import { closeDescriptor, SystemCallError } from "./syscalls.js";

/**
 * Sockets to the kernel's network configuration (netlink(7)). A socket speaks to the network namespace that its maker was in when it was
 * made, from wherever it is used later.
 */
export type NetlinkProtocol = "route" | "netfilter";

/** One or several messages in one datagram, and the sequence numbers of the first and the last, which no other exchange of the socket has. */
export interface NetlinkRequest {
  readonly bytes: Uint8Array;
  readonly first: number;
  /** This message's acknowledgement, or the end of its answers, ends the exchange. */
  readonly last: number;
}

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const PROTOCOLS = { route: 0, netfilter: 12 } as const;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_NETNS_COOKIE = 71;
/** The kernel answers at once, but it may first have to wait for a lock that others hold. */
const ANSWER_LIMIT_SECONDS = 10;
const RECEIVE_BYTES = 256 * 1024;
/** Machines that route for others know a million routes; more than this is not taken in. */
const ANSWERS_MAX_BYTES = 64 * 1024 * 1024;
const HEADER_BYTES = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

const library = lazy(() => {
  const { koffi, libc } = cLibrary();
  const call = (name: string, type: string, ...args: string[]) =>
    libc.func(name, type, args) as (...values: unknown[]) => number | bigint;
  return {
    errno: () => koffi.errno(),
    socket: call("socket", "int", "int", "int", "int"),
    setsockopt: call("setsockopt", "int", "int", "int", "int", "void *", "uint"),
    getsockopt: call("getsockopt", "int", "int", "int", "int", "void *", "void *"),
    send: call("send", "int64", "int", "void *", "size_t", "int"),
    recv: call("recv", "int64", "int", "void *", "size_t", "int"),
  };
});

/** Opens a socket in the calling thread's network namespace; the caller closes it with `closeDescriptor`. Throws SystemCallError. */
export function openNetlink(protocol: NetlinkProtocol): number {
  const fd = check(library().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, PROTOCOLS[protocol]), "socket", "AF_NETLINK");
  const limit = Buffer.alloc(16);
  limit.writeBigInt64LE(BigInt(ANSWER_LIMIT_SECONDS), 0);
  try {
    check(library().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, limit, limit.length), "setsockopt", "SO_RCVTIMEO");
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** The number the kernel gave the socket's network namespace, never given twice until the next boot (Linux 5.14). Throws SystemCallError. */
export function networkCookie(fd: number): bigint {
  const value = Buffer.alloc(8);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(value.length);
  check(library().getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, size), "getsockopt", "SO_NETNS_COOKIE");
  return value.readBigUInt64LE();
}

/**
 * Sends REQUEST and waits for the end of the exchange. Gives the messages the kernel answers with, headers included, without the
 * acknowledgements. Throws SystemCallError with the errno of the first message that was refused. Blocks.
 */
export function exchangeNetlink(fd: number, { bytes, first, last }: NetlinkRequest): Buffer[] {
  check(library().send(fd, bytes, bytes.length, 0), "send", "netlink");
  const answers: Buffer[] = [];
  let total = 0;
  for (;;) {
    const room = Buffer.allocUnsafe(RECEIVE_BYTES);
    const size = check(library().recv(fd, room, room.length, 0), "recv", "netlink");
    for (const message of messagesIn(room.subarray(0, size))) {
      const type = message.readUInt16LE(4);
      const sequence = message.readUInt32LE(8);
      if (sequence < first || sequence > last) continue; // what came after the failure of an earlier exchange
      if (type === NLMSG_ERROR || type === NLMSG_DONE) {
        const code = endOf(message);
        if (code < 0) throw new SystemCallError("netlink", -code, `message ${sequence - first}`);
        if (sequence === last) return answers;
      } else if (total + message.length <= ANSWERS_MAX_BYTES) {
        total += message.length;
        answers.push(message);
      }
    }
  }
}

/** The error number of an acknowledgement or of the end of a dump, negative where something failed. */
function endOf(message: Buffer): number {
  return message.length >= HEADER_BYTES + 4 ? message.readInt32LE(HEADER_BYTES) : 0;
}

function* messagesIn(datagram: Buffer): Generator<Buffer> {
  for (let at = 0; at + HEADER_BYTES <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_BYTES) return;
    yield datagram.subarray(at, at + length);
    at += (length + 3) & ~3;
  }
}

function check(result: number | bigint, call: string, detail: string): number {
  if (result >= 0) return Number(result);
  throw new SystemCallError(call, library().errno(), detail);
}
