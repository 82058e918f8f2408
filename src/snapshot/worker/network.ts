import fs from "node:fs";
import {
  CLONE_NEWNET,
  closeDescriptor,
  EngineError,
  exchangeNetlink,
  type NetlinkProtocol,
  type NetlinkRequest,
  networkCookie,
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
  /** A route socket that speaks to it. */
  readonly socket: number;
  /** It as a file, for programs that are told where it is while it is open. */
  readonly path: string;
}

/** What the kernel said: its answers, or the errno name of what it refused. */
export type NetlinkOutcome =
  | { readonly kind: "answers"; readonly answers: readonly Uint8Array[] }
  | { readonly kind: "refused"; readonly code: string };

/** What is open here: nobody can have another descriptor of the process used or closed. */
const open = new Set<number>();

/** Makes a network namespace with nothing but a loopback device, which is down. Devices that come into it later speak IPv4 only. */
export const openNetwork: Job<object, OpenNetwork> = () => {
  const home = fs.openSync(HERE, "r");
  try {
    unshare(CLONE_NEWNET);
    try {
      return hold();
    } finally {
      setns(home, CLONE_NEWNET); // the namespace is the thread's: no other one has been elsewhere
    }
  } finally {
    fs.closeSync(home);
  }
};

const HERE = "/proc/thread-self/ns/net";
const NO_IPV6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

function hold(): OpenNetwork {
  const namespace = fs.openSync(HERE, "r");
  open.add(namespace);
  try {
    silenceIpv6();
    const socket = openNetlink("route");
    open.add(socket);
    return { namespace, socket, path: `/proc/${process.pid}/fd/${namespace}` };
  } catch (error) {
    open.delete(namespace);
    fs.closeSync(namespace);
    throw error;
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

/** Closes a namespace and its socket: it is gone when nothing runs in it. */
export const closeNetwork: Job<Pick<OpenNetwork, "namespace" | "socket">, void> = ({ namespace, socket }) => {
  closeOpen(socket);
  if (open.delete(namespace)) fs.closeSync(namespace);
};

/** Opens a socket to the machine's own network namespace; COOKIE is the namespace's number of this boot. */
export const openNetlinkSocket: Job<
  { readonly protocol: NetlinkProtocol },
  { readonly socket: number; readonly cookie: string }
> = ({ protocol }) => {
  const socket = openNetlink(protocol);
  try {
    const cookie = String(networkCookie(socket));
    open.add(socket);
    return { socket, cookie };
  } catch (error) {
    closeDescriptor(socket);
    throw error;
  }
};

/** Sends REQUESTS one after the other, until one is refused. */
export const talkNetlink: Job<
  { readonly socket: number; readonly requests: readonly NetlinkRequest[] },
  NetlinkOutcome
> = ({ socket, requests }) => {
  if (!open.has(socket)) throw new EngineError("internal", `no open netlink socket: ${socket}`);
  try {
    return { kind: "answers", answers: requests.flatMap((request) => exchangeNetlink(socket, request)) };
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return { kind: "refused", code };
  }
};

export const closeNetlinkSocket: Job<{ readonly socket: number }, void> = ({ socket }) => closeOpen(socket);

/** Does WORK, which starts a child, in the open network NAMESPACE; the thread is back in its own afterwards. */
export function inNetwork<T>(namespace: number, work: () => T): T {
  if (!open.has(namespace)) throw new EngineError("internal", `no open network namespace: ${namespace}`);
  const home = fs.openSync(HERE, "r");
  try {
    setns(namespace, CLONE_NEWNET);
    try {
      return work();
    } finally {
      setns(home, CLONE_NEWNET);
    }
  } finally {
    fs.closeSync(home);
  }
}

function closeOpen(fd: number): void {
  if (open.delete(fd)) closeDescriptor(fd);
}
