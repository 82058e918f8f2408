import type { AbortOptions } from "../base/index.js";
import { HOST_GATEWAY, hostsFile } from "./etc-files.js";
import type { StepProcess } from "./executor.js";
import type { NetworkEntry, StepNetwork } from "./network.js";
import type { Networks } from "./networks.js";
import { readResolvConf, readUpstreamResolvConf, stepResolvConf } from "./resolv-conf.js";
import type { StepFiles } from "./step-directory.js";

/** What a step gets of the network. Closed when nothing of the step is left. */
export interface Connection extends AsyncDisposable {
  /** Where it is to be started; absent: in this machine's network, or one of the runtime's making. */
  readonly entry?: NetworkEntry | undefined;
  readonly files: StepFiles;
}

/** A step that shares this machine's network finds the machine on its own loopback device. */
const SHARED_GATEWAY = "127.0.0.1";

/** Connects a step as it wants it; NETWORKS absent: to this machine's network. Throws EngineError `unavailable` where that can't be done. */
export async function connectStep(
  process: StepProcess,
  networks: Networks | undefined,
  { signal }: AbortOptions,
): Promise<Connection> {
  const driver = process.network === "sandbox" ? await networks?.driver() : undefined;
  if (!driver) {
    const files = { hosts: hostsFile(process, SHARED_GATEWAY), resolvConf: Buffer.from(readResolvConf(), "latin1") };
    return { files, [Symbol.asyncDispose]: async () => {} };
  }
  const reachesMachine = process.extraHosts.some(({ ip }) => ip === HOST_GATEWAY);
  const network = await driver.open({ signal, reachesMachine });
  return {
    entry: network.entry,
    files: filesOf(process, network, (warning) => networks?.notice(warning)),
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}

function filesOf(process: StepProcess, network: StepNetwork, warn: (sentence: string) => void): StepFiles {
  const { text, warning } = stepResolvConf({
    machine: readResolvConf(),
    upstream: readUpstreamResolvConf,
    forwarder: network.resolver,
  });
  if (warning !== undefined) warn(warning);
  return { hosts: hostsFile(process, network.gateway), resolvConf: Buffer.from(text, "latin1") };
}
