import fs from "node:fs";
import { isIP } from "node:net";
import { systemCode } from "../base/index.js";

/** What a step's /etc/resolv.conf is made of. */
export interface ResolverGround {
  /** This machine's /etc/resolv.conf. */
  readonly machine: string;
  /** The one in which systemd-resolved names the servers that it asks itself. */
  readonly upstream: () => string | undefined;
  /** A server that answers steps as this machine's own does. */
  readonly forwarder?: string | undefined;
}

export interface StepResolvConf {
  readonly text: string;
  /** What the step can't do, as a sentence. */
  readonly warning?: string | undefined;
}

const SYSTEMD_STUB = "127.0.0.53";
const MACHINE_FILE = "/etc/resolv.conf";
const UPSTREAM_FILE = "/run/systemd/resolve/resolv.conf";
const RESOLV_CONF_MAX_BYTES = 64 * 1024;
/** Resolvers look at no more (resolv.conf(5)). */
const SERVERS_MAX = 3;

/**
 * resolv.conf(5) for a step with a network of its own, which speaks IPv4: this machine's, without the servers that it does not reach. Where
 * the only one is systemd's stub, the servers behind it, as BuildKit has it.
 */
export function stepResolvConf({ machine, upstream, forwarder }: ResolverGround): StepResolvConf {
  const servers = nameServers(machine);
  const text = (servers.length === 1 && servers[0] === SYSTEMD_STUB && upstream()) || machine;
  const kept = text.split("\n").filter((line) => {
    const server = serverOf(line);
    return server === undefined || isReached(server);
  });
  if (kept.some((line) => serverOf(line) !== undefined)) return { text: kept.join("\n") };
  const rest = kept.join("\n").replace(/\n*$/, "\n").replace(/^\n$/, "");
  if (forwarder !== undefined) return { text: `${rest}nameserver ${forwarder}\n` };
  const known = nameServers(text);
  const which = known.length === 0 ? "names no server" : `names only ${known.join(", ")}, which a step does not reach`;
  const warning = `RUN steps can't look names up: ${MACHINE_FILE} ${which}; --network=host would give them this machine's network`;
  return { text: rest, warning };
}

/** Whom somebody on this machine is to ask for steps that reach none of its servers; empty where they reach one, or there is none. */
export function machineResolvers(machine: string, upstream: ResolverGround["upstream"]): readonly string[] {
  if (stepResolvConf({ machine, upstream }).warning === undefined) return [];
  return nameServers(machine)
    .filter((server) => isIP(server) !== 0)
    .slice(0, SERVERS_MAX);
}

/** The addresses of the servers a resolv.conf names. */
export function nameServers(text: string): readonly string[] {
  return text.split("\n").flatMap((line) => serverOf(line) ?? []);
}

/** This machine's, empty where there is none. */
export function readResolvConf(): string {
  return readBounded(MACHINE_FILE) ?? "";
}

/** systemd-resolved's. */
export function readUpstreamResolvConf(): string | undefined {
  return readBounded(UPSTREAM_FILE);
}

function serverOf(line: string): string | undefined {
  return /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
}

function isReached(server: string): boolean {
  return isIP(server) === 4 && !server.startsWith("127.") && server !== "0.0.0.0";
}

function readBounded(file: string): string | undefined {
  try {
    return fs.readFileSync(file).subarray(0, RESOLV_CONF_MAX_BYTES).toString("latin1");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
