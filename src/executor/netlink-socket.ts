import { EngineError, messageOf } from "../base/index.js";
import type { DataPlane, NetlinkOutcome } from "../snapshot/index.js";
import { type Message, Sequence } from "./netlink-messages.js";

/** What gets into network namespaces for us. */
export type NetworkPlane = Pick<DataPlane, "control">;

/** A socket to the kernel's network configuration, held by the data plane. Whoever opens it closes it. */
export class NetlinkSocket implements AsyncDisposable {
  /** The number of the namespace it speaks to, unique until the next boot. */
  readonly cookie: string;
  readonly #plane: NetworkPlane;
  readonly #socket: number;
  readonly #sequence = new Sequence();

  /** For a socket that is open already; disposing of it closes it. */
  constructor(plane: NetworkPlane, socket: number, cookie = "") {
    this.#plane = plane;
    this.#socket = socket;
    this.cookie = cookie;
  }

  /** Opens a socket to the machine's own network namespace. Throws EngineError `unavailable` where there is none to be had. */
  static async open(plane: NetworkPlane, protocol: "route" | "netfilter"): Promise<NetlinkSocket> {
    try {
      const { socket, cookie } = await plane.control("openNetlinkSocket", { protocol });
      return new NetlinkSocket(plane, socket, cookie);
    } catch (error) {
      throw new EngineError("unavailable", `speaking to the kernel about ${protocol}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Sends each of BATCHES after the one before was answered, and gives all answers, or says what was refused. */
  send(...batches: readonly (readonly Message[])[]): Promise<NetlinkOutcome> {
    const requests = batches.map((messages) => this.#sequence.request(...messages));
    return this.#plane.control("talkNetlink", { socket: this.#socket, requests });
  }

  /** As `send`; throws EngineError `unavailable`, that WHAT is not possible, where something is refused. */
  async ask(what: string, ...batches: readonly (readonly Message[])[]): Promise<readonly Uint8Array[]> {
    const outcome = await this.send(...batches);
    if (outcome.kind === "refused") throw new EngineError("unavailable", `${what}: ${outcome.code}`);
    return outcome.answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#plane.control("closeNetlinkSocket", { socket: this.#socket });
  }
}
