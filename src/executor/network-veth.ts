import { EngineError, messageOf, Scope } from "../base/index.js";
import type { OpenNetwork } from "../snapshot/index.js";
import { NetlinkSocket, type NetworkPlane } from "./netlink-socket.js";
import type { NetworkDriver, StepNetwork } from "./network.js";
import { type ForwardingPlace, openForwarding } from "./network-forwarding.js";
import {
  addAddress,
  addDefaultRoute,
  createPair,
  findLink,
  type Link,
  listLinks,
  listRoutes,
  parseLink,
  parseRoute,
  type Route,
  raise,
  raiseLoopback,
} from "./network-links.js";
import { ADDRESSES, addressIn, chooseRange, formatIpv4, type Ipv4, type Prefix } from "./network-range.js";
import { DEVICE_PREFIX, stepRules } from "./network-rules.js";

export interface VethOptions {
  readonly plane: NetworkPlane;
  readonly place: ForwardingPlace;
  /** The engine's id, unique on the machine. */
  readonly owner: string;
  /** Addresses that mean something else to steps: those of name servers. */
  readonly reserved: readonly Ipv4[];
  /** The number of the first device to try. */
  readonly seed: number;
}

const INSIDE = "eth0";
const MTU_DEFAULT_BYTES = 1500;
/** IPv4 asks for this much (RFC 791). */
const MTU_MIN_BYTES = 576;
/** The gateway has the first address of the range, steps those after it. */
const GATEWAY_OFFSET = 1;

/**
 * Networks of the kernel's own: a pair of devices a step, one end in the machine's network, and rules by which the machine forwards for it.
 * A device's number is the step's address in the range, so that the kernel, which has every name once, keeps engines from taking the same
 * one. Devices end with the step's namespace, rules with the engine's socket: when the engine is killed nothing stays but what
 * `openForwarding` had to change. Throws EngineError `unavailable` where the machine does not allow it.
 */
export async function openVeth(options: VethOptions): Promise<NetworkDriver> {
  const { plane, place, owner, reserved } = options;
  await using scope = new Scope();
  const route = scope.use(await NetlinkSocket.open(plane, "route"));
  const filter = scope.use(await NetlinkSocket.open(plane, "netfilter"));
  const links = (await route.ask("reading the devices", [listLinks()])).flatMap((each) => parseLink(each) ?? []);
  const routes = (await route.ask("reading the routes", [listRoutes()])).flatMap((each) => parseRoute(each) ?? []);
  const foreign = routes.filter(({ link }) => !links.some((each) => each.index === link && isStepDevice(each)));
  const range = chooseRange([...foreign, ...reserved.map((address) => ({ address, bits: 32 }))]);
  if (!range) throw new EngineError("unavailable", "all private addresses are routed to somewhere else");
  await filter.ask("setting rules of the firewall", stepRules(`ashlar-${owner}`, range));
  const devices = links.filter((each) => each.up && each.name !== "lo" && !isStepDevice(each));
  scope.use(await openForwarding({ place, filter, cookie: route.cookie, devices: devices.map(({ name }) => name) }));
  return new Veth({ options, route, range, mtu: mtuOf(foreign, links), scope: scope.move() });
}

function isStepDevice({ name, kind }: Link): boolean {
  return kind === "veth" && name.startsWith(DEVICE_PREFIX);
}

/** That of the way to the outside: what a step sends is to pass whole. */
function mtuOf(routes: readonly Route[], links: readonly Link[]): number {
  const [uplink] = routes.filter(({ bits }) => bits === 0).sort((a, b) => a.priority - b.priority);
  const mtu = links.find(({ index }) => index === uplink?.link)?.mtu ?? MTU_DEFAULT_BYTES;
  return Math.min(Math.max(mtu, MTU_MIN_BYTES), MTU_DEFAULT_BYTES);
}

interface VethParts {
  readonly options: VethOptions;
  readonly route: NetlinkSocket;
  readonly range: Prefix;
  readonly mtu: number;
  readonly scope: Scope;
}

class Veth implements NetworkDriver {
  readonly name = "veth";
  readonly description: string;
  readonly #parts: VethParts;
  readonly #gateway: Ipv4;
  #number: number;

  constructor(parts: VethParts) {
    const { range, options } = parts;
    this.#parts = parts;
    this.#gateway = addressIn(range, GATEWAY_OFFSET);
    this.#number = options.seed % ADDRESSES;
    this.description = `a pair of devices and an address of ${formatIpv4(range.address)}/${range.bits} a step, masqueraded`;
  }

  async open(): Promise<StepNetwork> {
    const { plane } = this.#parts.options;
    const network = await openNamespace(plane);
    try {
      await this.#connect(network);
    } catch (error) {
      await plane.control("closeNetwork", network);
      throw error;
    }
    return {
      entry: { kind: "open", namespace: network.namespace },
      gateway: formatIpv4(this.#gateway),
      [Symbol.asyncDispose]: () => plane.control("closeNetwork", network),
    };
  }

  async #connect({ namespace, socket }: OpenNetwork): Promise<void> {
    const { route, options } = this.#parts;
    const { outside, address } = await this.#createPair(namespace);
    // The device goes away with the namespace, in which this socket lives, and which its holder closes.
    const inside = new NetlinkSocket(options.plane, socket);
    const inner = indexOf(await inside.ask("finding a device", [findLink(INSIDE)]));
    await Promise.all([
      route.ask("giving the gateway its address", [addAddress(outside, this.#gateway, address)]),
      inside.ask(
        "configuring a device",
        [raiseLoopback()],
        [addAddress(inner, address, this.#gateway)],
        [raise(inner)],
        [addDefaultRoute(inner, this.#gateway)],
      ),
    ]);
  }

  /** Makes devices under the first free number. */
  async #createPair(namespace: number): Promise<{ readonly outside: number; readonly address: Ipv4 }> {
    const { route, mtu, range } = this.#parts;
    for (let attempt = 0; attempt < ADDRESSES - 1; attempt++) {
      this.#number = (this.#number + 1) % (ADDRESSES - 1);
      const number = this.#number;
      const name = `${DEVICE_PREFIX}${number}`;
      const made = await route.send([createPair(name, INSIDE, namespace, mtu)], [findLink(name)]);
      if (made.kind === "answers")
        return { outside: indexOf(made.answers), address: addressIn(range, GATEWAY_OFFSET + 1 + number) };
      if (made.code !== "EEXIST") throw new EngineError("unavailable", `making a pair of devices: ${made.code}`);
    }
    throw new EngineError("unavailable", `all ${ADDRESSES - 1} addresses for steps are in use`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.scope[Symbol.asyncDispose]();
  }
}

async function openNamespace(plane: NetworkPlane): Promise<OpenNetwork> {
  try {
    return await plane.control("openNetwork", {});
  } catch (error) {
    throw new EngineError("unavailable", `making a network namespace: ${messageOf(error)}`, { cause: error });
  }
}

function indexOf(answers: readonly Uint8Array[]): number {
  const [link] = answers.flatMap((each) => parseLink(each) ?? []);
  if (!link) throw new EngineError("unavailable", "the kernel does not find the device it has made");
  return link.index;
}
