import fs from "node:fs";
import {
  CLONE_NEWNET,
  closeDescriptor,
  EngineError,
  exchangeNetlink,
  type NetlinkProtocol,
  type NetlinkRequest,
  networkCookie,
  openListeningSocket,
  openNetlink,
  setns,
  systemCode,
  unshare,
} from "../../base/index.js";
import type { Job } from "./context.js";

/** A network namespace that lives as long as it is open here or something runs in it, and with it every device in it. */
export interface OpenNetwork {
  /** For `SpawnRequest.network` and `closeNetwork`. */
  readonly namespace: number;
}

/** A socket to the machine's own network namespace. */
export interface MachineSocket {
  readonly socket: number;
  /** The namespace itself, open: devices can be sent to it. */
  readonly namespace: number;
  /** Its number, never given twice until the next boot. */
  readonly cookie: string;
}

/** What the kernel said: its answers, or the errno name of what it refused. */
export type NetlinkOutcome =
  | { readonly kind: "answers"; readonly answers: readonly Uint8Array[] }
  | { readonly kind: "refused"; readonly code: string };

/** What is to be said inside a new network, and then outside of it. */
export interface NetworkRequest {
  readonly inside: readonly NetlinkRequest[];
  readonly outside: { readonly socket: number; readonly requests: readonly NetlinkRequest[] };
}

/** What is open here: nobody can have another descriptor of the process used or closed. */
const open = new Set<number>();

/**
 * Makes a network namespace and says what REQUEST says. Gives it, or the errno name of what was refused: then nothing is left of it. Devices
 * that come into it speak IPv4 only.
 */
export const openNetwork: Job<NetworkRequest, OpenNetwork | Extract<NetlinkOutcome, { kind: "refused" }>> = ({
  inside,
  outside,
}) => {
  const { namespace, socket } = inNamespace("new", hold);
  let kept = false;
  try {
    for (const [speaker, requests] of [
      [socket, inside],
      [outside.socket, outside.requests],
    ] as const) {
      const outcome = say(speaker, requests);
      if (outcome.kind === "refused") return outcome;
    }
    kept = true;
    return { namespace };
  } finally {
    closeOpen(socket);
    if (!kept) closeFile(namespace);
  }
};

/** Closes a network: it is gone when nothing runs in it. */
export const closeNetwork: Job<OpenNetwork, void> = ({ namespace }) => closeFile(namespace);

/** Sockets that take what is said to ADDRESS, the four bytes of an IPv4 address, and PORT inside an open network. */
export interface ListeningPlace extends OpenNetwork {
  readonly address: Uint8Array;
  readonly port: number;
}

/** Descriptors of a UDP and of a TCP socket, which are the asker's to close; the network lives as long as they are open. */
export interface ListeningSockets {
  readonly datagram: number;
  readonly stream: number;
}

/** Listens inside an open network. */
export const listenInNetwork: Job<ListeningPlace, ListeningSockets> = ({ namespace, address, port }) =>
  inNetwork(namespace, () => {
    const datagram = openListeningSocket("datagram", address, port);
    try {
      return { datagram, stream: openListeningSocket("stream", address, port) };
    } catch (error) {
      closeDescriptor(datagram);
      throw error;
    }
  });

/** Opens a socket to the machine's own network namespace. */
export const openNetlinkSocket: Job<{ readonly protocol: NetlinkProtocol }, MachineSocket> = ({ protocol }) => {
  const socket = openNetlink(protocol);
  open.add(socket);
  try {
    const cookie = String(networkCookie(socket));
    const namespace = fs.openSync(HERE, "r");
    open.add(namespace);
    return { socket, namespace, cookie };
  } catch (error) {
    closeOpen(socket);
    throw error;
  }
};

/** Sends REQUESTS one after the other, until one is refused. */
export const talkNetlink: Job<
  { readonly socket: number; readonly requests: readonly NetlinkRequest[] },
  NetlinkOutcome
> = ({ socket, requests }) => say(socket, requests);

export const closeNetlinkSocket: Job<Pick<MachineSocket, "socket" | "namespace">, void> = ({ socket, namespace }) => {
  closeOpen(socket);
  closeFile(namespace);
};

/** Does WORK, which starts a child or opens a socket, in the open network NAMESPACE; the thread is back in its own afterwards. */
export function inNetwork<T>(namespace: number, work: () => T): T {
  if (!open.has(namespace)) throw new EngineError("internal", `no open network namespace: ${namespace}`);
  return inNamespace(namespace, work);
}

const HERE = "/proc/thread-self/ns/net";
const NO_IPV6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

/** The namespace is the thread's alone: no other one of the process has been elsewhere. */
function inNamespace<T>(namespace: number | "new", work: () => T): T {
  const home = fs.openSync(HERE, "r");
  try {
    if (namespace === "new") unshare(CLONE_NEWNET);
    else setns(namespace, CLONE_NEWNET);
    try {
      return work();
    } finally {
      setns(home, CLONE_NEWNET);
    }
  } finally {
    fs.closeSync(home);
  }
}

/** Opens the namespace that the thread is in, and a socket to it. */
function hold(): { readonly namespace: number; readonly socket: number } {
  const namespace = fs.openSync(HERE, "r");
  open.add(namespace);
  try {
    silenceIpv6();
    const socket = openNetlink("route");
    open.add(socket);
    return { namespace, socket };
  } catch (error) {
    closeFile(namespace);
    throw error;
  }
}

function say(socket: number, requests: readonly NetlinkRequest[]): NetlinkOutcome {
  if (!open.has(socket)) throw new EngineError("internal", `no open netlink socket: ${socket}`);
  try {
    return { kind: "answers", answers: requests.flatMap((request) => exchangeNetlink(socket, request)) };
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return { kind: "refused", code };
  }
}

/** Link-local addresses and the search for routers would only slow the first packets down. */
function silenceIpv6(): void {
  try {
    fs.writeFileSync(NO_IPV6, "1");
  } catch (error) {
    if (!["ENOENT", "EROFS", "EACCES"].includes(systemCode(error) ?? "")) throw error; // no IPv6, or nothing may be set
  }
}

function closeOpen(fd: number): void {
  if (open.delete(fd)) closeDescriptor(fd);
}

function closeFile(fd: number): void {
  if (open.delete(fd)) fs.closeSync(fd);
}
