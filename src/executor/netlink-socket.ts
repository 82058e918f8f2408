import { EngineError, messageOf, type NetlinkRequest } from "../base/index.js";
import type { DataPlane, MachineSocket, NetlinkOutcome } from "../snapshot/index.js";
import { type Message, Sequence } from "./netlink-messages.js";

/** What gets into network namespaces for us. */
export type NetworkPlane = Pick<DataPlane, "control">;

/** A socket to the kernel's network configuration, held by the data plane. Whoever opens it closes it. */
export class NetlinkSocket implements AsyncDisposable {
  /** As the data plane has it open. */
  readonly opened: MachineSocket;
  readonly #plane: NetworkPlane;
  readonly #sequence: Sequence;

  private constructor(plane: NetworkPlane, opened: MachineSocket) {
    this.#plane = plane;
    this.opened = opened;
    this.#sequence = new Sequence();
  }

  /** Opens a socket to the machine's own network namespace. Throws EngineError `unavailable` where there is none to be had. */
  static async open(plane: NetworkPlane, protocol: "route" | "netfilter"): Promise<NetlinkSocket> {
    try {
      return new NetlinkSocket(plane, await plane.control("openNetlinkSocket", { protocol }));
    } catch (error) {
      throw new EngineError("unavailable", `speaking to the kernel about ${protocol}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** BATCHES as requests that only this socket may send. */
  requests(...batches: readonly (readonly Message[])[]): readonly NetlinkRequest[] {
    return this.#sequence.requests(...batches);
  }

  /** Sends each of BATCHES after the one before was answered, and gives all answers, or says what was refused. */
  send(...batches: readonly (readonly Message[])[]): Promise<NetlinkOutcome> {
    return this.#plane.control("talkNetlink", { socket: this.opened.socket, requests: this.requests(...batches) });
  }

  /** As `send`; throws EngineError `unavailable`, that WHAT is not possible, where something is refused. */
  async ask(what: string, ...batches: readonly (readonly Message[])[]): Promise<readonly Uint8Array[]> {
    const outcome = await this.send(...batches);
    if (outcome.kind === "refused") throw new EngineError("unavailable", `${what}: ${outcome.code}`);
    return outcome.answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#plane.control("closeNetlinkSocket", this.opened);
  }
}
