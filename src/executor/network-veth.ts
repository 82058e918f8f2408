import { canceled, EngineError, messageOf, Scope } from "../base/index.js";
import type { NetworkRequest, OpenNetwork } from "../snapshot/index.js";
import { Sequence } from "./netlink-messages.js";
import { NetlinkSocket, type NetworkPlane } from "./netlink-socket.js";
import type { NetworkDriver, StepNetwork, StepNetworkOptions } from "./network.js";
import { type Forwarding, type ForwardingPlace, openForwarding } from "./network-forwarding.js";
import {
  addAddress,
  addDefaultRoute,
  createPair,
  type Link,
  listLinks,
  listRoutes,
  parseLink,
  parseRoute,
  type Route,
  raise,
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
  /** The machine's own name servers, where steps reach none of them: their questions are handed on. Else empty. */
  readonly resolvers: readonly string[];
}

/** Where steps find whoever hands their questions on; Docker has its own there. */
const RESOLVER = { address: Buffer.from([127, 0, 0, 11]), port: 53 };
/** The kernel's own numbers for devices grow from 1. */
const LOOPBACK_INDEX = 1;
const INSIDE_INDEX = 1_000;
const OUTSIDE_INDEX = 1_000_000_000;
/** Engines that were started one after the other begin far from each other: an address is used again late. */
const SEED_SPREAD = 397;
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
  const forwarding = scope.use(
    await openForwarding({ place, filter, cookie: route.opened.cookie, devices: devices.map(({ name }) => name) }),
  );
  return new Veth({ options, route, forwarding, range, mtu: mtuOf(foreign, links), scope: scope.move() });
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
  readonly forwarding: Forwarding;
  readonly range: Prefix;
  readonly mtu: number;
  readonly scope: Scope;
}

class Veth implements NetworkDriver {
  readonly name = "veth";
  readonly description: string;
  readonly #parts: VethParts;
  readonly #gateway: Ipv4;
  readonly #sequence = new Sequence();
  readonly #closing = new Set<Promise<void>>();
  #number: number;

  constructor(parts: VethParts) {
    const { range, options } = parts;
    this.#parts = parts;
    this.#gateway = addressIn(range, GATEWAY_OFFSET);
    this.#number = (options.seed * SEED_SPREAD) % ADDRESSES;
    this.description = `a pair of devices and an address of ${formatIpv4(range.address)}/${range.bits} a step, masqueraded`;
  }

  async open({ signal }: StepNetworkOptions): Promise<StepNetwork> {
    for (let attempt = 0; attempt < ADDRESSES; attempt++) {
      if (signal?.aborted) throw canceled(signal);
      this.#number = (this.#number + 1) % ADDRESSES;
      const made = await this.#make(this.#number);
      if (made !== undefined) return await this.#network(made);
    }
    throw new EngineError("unavailable", `all ${ADDRESSES} addresses for steps are in use`);
  }

  async #network(opened: OpenNetwork): Promise<StepNetwork> {
    const { plane, resolvers } = this.#parts.options;
    const close = () => plane.control("closeNetwork", opened);
    const forwarder = resolvers.length === 0 ? undefined : await handOn(plane, opened, resolvers).catch(failing(close));
    return {
      entry: { kind: "open", namespace: opened.namespace },
      gateway: formatIpv4(this.#gateway),
      ...(forwarder && { resolver: RESOLVER.address.join(".") }),
      // Nobody waits for it: the address is free when the name is.
      [Symbol.asyncDispose]: async () => {
        await forwarder?.[Symbol.asyncDispose]();
        const closing = close();
        this.#closing.add(closing);
        closing.finally(() => this.#closing.delete(closing)).catch(() => {});
      },
    };
  }

  /** Makes the network of a number; undefined where somebody has it. */
  async #make(number: number): Promise<OpenNetwork | undefined> {
    const { route, forwarding, options, range, mtu } = this.#parts;
    const inside = { name: "eth0", index: INSIDE_INDEX };
    const outside = { name: `${DEVICE_PREFIX}${number}`, index: OUTSIDE_INDEX + number };
    const address = addressIn(range, GATEWAY_OFFSET + 1 + number);
    const outcome = await openNamespace(options.plane, {
      inside: this.#sequence.requests(
        [createPair(inside, outside, route.opened.namespace, mtu)],
        [raise(LOOPBACK_INDEX)],
        [addAddress(inside.index, address, this.#gateway)],
        [addDefaultRoute(inside.index, this.#gateway)],
      ),
      outside: {
        socket: route.opened.socket,
        requests: route.requests([raise(outside.index)], [addAddress(outside.index, this.#gateway, address)]),
      },
    });
    if ("code" in outcome) {
      if (outcome.code === "EEXIST" || outcome.code === "EBUSY") return undefined;
      throw new EngineError("unavailable", `making a pair of devices: ${outcome.code}`);
    }
    try {
      forwarding.allow(outside.name);
      return outcome;
    } catch (error) {
      await options.plane.control("closeNetwork", outcome);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#closing);
    await this.#parts.scope[Symbol.asyncDispose]();
  }
}

type Opening = OpenNetwork | { readonly kind: "refused"; readonly code: string };

async function openNamespace(plane: NetworkPlane, request: NetworkRequest): Promise<Opening> {
  try {
    return await plane.control("openNetwork", request);
  } catch (error) {
    throw new EngineError("unavailable", `making a network namespace: ${messageOf(error)}`, { cause: error });
  }
}

/** Answers the questions for names that are asked in a network. Throws EngineError `unavailable`. */
async function handOn(
  plane: NetworkPlane,
  { namespace }: OpenNetwork,
  servers: readonly string[],
): Promise<AsyncDisposable> {
  const { openNameForwarder } = await import("./name-forwarder.js");
  try {
    return await openNameForwarder(await plane.control("listenInNetwork", { namespace, ...RESOLVER }), { servers });
  } catch (error) {
    throw new EngineError("unavailable", `listening for questions for names: ${messageOf(error)}`, { cause: error });
  }
}

function failing(close: () => Promise<void>): (error: unknown) => Promise<never> {
  return async (error) => {
    await close();
    throw error;
  };
}
