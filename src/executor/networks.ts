import fs from "node:fs";
import path from "node:path";
import { EngineError, errorCode, lazy, messageOf, systemCode } from "../base/index.js";
import type { DataPlane, StateDirs } from "../snapshot/index.js";
import { NetlinkSocket } from "./netlink-socket.js";
import type { NetworkDriver, NetworkDriverName, NetworkMode, StepNetwork } from "./network.js";
import { type ForwardingPlace, sweepForwarding } from "./network-forwarding.js";
import { chooseRange, type Ipv4, ipv4Of, type Prefix, parseIpv4 } from "./network-range.js";
import { openUserMode, PASTA, SLIRP4NETNS, type UserModeProgram } from "./network-usermode.js";
import { openVeth } from "./network-veth.js";
import {
  machineResolvers,
  nameServers,
  readResolvConf,
  readUpstreamResolvConf,
  stepResolvConf,
} from "./resolv-conf.js";

/** Where the networks of an engine's steps come from. Nothing is touched before the first is asked for. */
export interface Networks extends AsyncDisposable {
  /** Undefined: steps share this machine's network. Throws EngineError `unavailable` where one was asked for that does not work here. */
  driver(): Promise<NetworkDriver | undefined>;
  /** Tells the user about the network of steps, each sentence once. */
  notice(sentence: string): void;
}

export interface NetworksOptions {
  readonly mode: NetworkMode;
  readonly plane: Pick<DataPlane, "control" | "spawn">;
  readonly dirs: StateDirs;
  /** Where the engines of this machine agree on what they change in its network: a directory that a restart empties. */
  readonly directory: string;
  /** The engine's id, unique on the machine. */
  readonly owner: string;
  /** Where to find programs, as PATH has it. */
  readonly searchPath: string;
  /** A number that other engines of the machine hardly have: where to begin looking for an address. */
  readonly seed: number;
  /** The data plane runs as root, and not in a user namespace. */
  readonly root: boolean;
  /** Told what is odd about the network of steps, each sentence once. */
  readonly onNotice: (sentence: string) => void;
}

export function createNetworks(options: NetworksOptions): Networks {
  const driver = lazy(() => choose(options));
  const said = new Set<string>();
  let asked = false;
  return {
    notice(sentence) {
      if (!said.has(sentence)) options.onNotice(sentence);
      said.add(sentence);
    },
    driver() {
      asked = true;
      return driver();
    },
    async [Symbol.asyncDispose]() {
      if (!asked) return;
      const opened = await driver().catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}

/** Takes back what engines that were killed have changed in this machine's network for steps' sake. Cheap where there is nothing. */
export async function sweepNetworks(options: PlaceOptions): Promise<void> {
  await sweepForwarding(placeOf(options), () => NetlinkSocket.open(options.plane, "netfilter"));
}

async function choose(options: NetworksOptions): Promise<NetworkDriver | undefined> {
  const { mode, onNotice } = options;
  if (mode === "host") return undefined;
  if (mode !== "auto") return await proven(await open(mode, options));
  const reasons: string[] = [];
  for (const name of candidates(options)) {
    try {
      return await proven(await open(name, options));
    } catch (error) {
      if (errorCode(error) !== "unavailable") throw error;
      reasons.push(reasonOf(name, error));
    }
  }
  onNotice(`RUN steps share this machine's network (${reasons.join("; ")})`);
  return undefined;
}

function reasonOf(name: NetworkDriverName, error: unknown): string {
  const hint = error instanceof EngineError && error.hint !== undefined ? ` (${error.hint})` : "";
  return `${name}: ${messageOf(error).replace(`${name} `, "it ")}${hint}`;
}

/** The kernel's own is the fastest; an ordinary user may not use it. */
function candidates({ root }: NetworksOptions): readonly NetworkDriverName[] {
  return root ? ["veth", "pasta", "slirp4netns"] : ["pasta", "slirp4netns"];
}

async function open(name: NetworkDriverName, options: NetworksOptions): Promise<NetworkDriver> {
  switch (name) {
    case "veth": {
      if (!options.root) throw new EngineError("unavailable", "only root may connect devices to the machine's network");
      const { plane, owner, seed } = options;
      const resolvers = machineResolvers(readResolvConf(), readUpstreamResolvConf);
      return openVeth({ plane, owner, seed, place: placeOf(options), reserved: reservedAddresses(), resolvers });
    }
    case "pasta":
      return openProgram(PASTA, options);
    case "slirp4netns":
      return openProgram(SLIRP4NETNS, options);
  }
}

function openProgram(program: UserModeProgram, { plane, dirs, searchPath, root }: NetworksOptions): NetworkDriver {
  const reserved = reservedAddresses().map((address): Prefix => ({ address, bits: 32 }));
  const range = chooseRange([...readRoutes(), ...reserved]);
  if (!range) throw new EngineError("unavailable", "all private addresses are routed to somewhere else");
  const { warning } = stepResolvConf({ machine: readResolvConf(), upstream: readUpstreamResolvConf });
  const resolves = warning !== undefined;
  return openUserMode(program, { plane, directory: dirs.mounts, searchPath, range, root, resolves });
}

/**
 * A driver that has made a network, which is the first to be asked for: only that shows that the machine lets it. The caller's is closed where it does not.
 */
async function proven(driver: NetworkDriver): Promise<NetworkDriver> {
  let spare: StepNetwork | undefined;
  try {
    spare = await driver.open({ reachesMachine: false });
  } catch (error) {
    await driver[Symbol.asyncDispose]();
    throw error;
  }
  return {
    name: driver.name,
    description: driver.description,
    async open(options) {
      if (options.reachesMachine || spare === undefined) return driver.open(options);
      const first = spare;
      spare = undefined;
      return first;
    },
    async [Symbol.asyncDispose]() {
      await spare?.[Symbol.asyncDispose]();
      await driver[Symbol.asyncDispose]();
    },
  };
}

type PlaceOptions = Pick<NetworksOptions, "plane" | "searchPath" | "directory">;

function placeOf({ plane, searchPath, directory }: PlaceOptions): ForwardingPlace {
  return { directory, spawner: plane, searchPath };
}

/** What steps are to reach must not be an address of theirs. */
function reservedAddresses(): readonly Ipv4[] {
  return nameServers(readResolvConf()).flatMap((server) => parseIpv4(server) ?? []);
}

/** The IPv4 routes of proc_net(5). */
function readRoutes(): readonly Prefix[] {
  try {
    return parseRoutes(fs.readFileSync(path.join("/proc/self/net/route"), "latin1"));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** The destinations in the text of /proc/net/route, whose numbers have this machine's order of bytes. */
export function parseRoutes(text: string): readonly Prefix[] {
  return text.split("\n").flatMap((line) => {
    const [, destination = "", , , , , , mask = ""] = line.split("\t");
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
    const bits = [...Buffer.from(mask, "hex")].reduce(
      (sum, byte) => sum + byte.toString(2).replaceAll("0", "").length,
      0,
    );
    return [{ address: ipv4Of(Buffer.from(destination, "hex").reverse()), bits }];
  });
}
