import type { AbortOptions } from "../base/index.js";

/** The network namespace of one step. Closing it takes its devices away, once no process is left in it. */
export interface StepNetwork extends AsyncDisposable {
  readonly entry: NetworkEntry;
  /** The address at which the step finds this machine. */
  readonly gateway: string;
  /** Answers the step's questions for names as this machine's own resolver does; absent: nobody does. */
  readonly resolver?: string | undefined;
}

/** How a program gets into a network namespace. */
export type NetworkEntry =
  /** As the data plane has it open: `SpawnRequest.network`. */
  | { readonly kind: "open"; readonly namespace: number }
  /** As a file, for nsenter(1). */
  | { readonly kind: "file"; readonly path: string; readonly nsenter: string };

export interface StepNetworkOptions extends AbortOptions {
  /** The step is to reach what listens on this machine, under `gateway`. */
  readonly reachesMachine: boolean;
}

/** A way to give steps networks of their own, which are connected to the outside but not to each other. */
export interface NetworkDriver extends AsyncDisposable {
  readonly name: NetworkDriverName;
  /** For people: what steps get. */
  readonly description: string;
  /** Makes a network; the caller closes it. Throws EngineError `unavailable` where the machine does not allow it. */
  open(options: StepNetworkOptions): Promise<StepNetwork>;
}

export type NetworkDriverName = "veth" | "pasta" | "slirp4netns";

/** Which network steps get: `auto` is the first driver that works, else the machine's own network. */
export type NetworkMode = "auto" | NetworkDriverName | "host";
