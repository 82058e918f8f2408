import fs from "node:fs";
import { systemCode } from "../base/index.js";
import type { Networks, NetworksOptions } from "../executor/index.js";

/** The networks of an engine's steps, made when the first step runs. */
export interface StepNetworks extends AsyncDisposable {
  open(): Promise<Networks>;
}

/** Where engines write down what they change in this machine's network; a restart empties it. */
const CHANGES_DIRECTORY = "/run/ashlar";

export function createStepNetworks(options: Omit<NetworksOptions, "directory">): StepNetworks {
  let networks: Promise<Networks> | undefined;
  const open = async () => {
    const { createNetworks } = await import("../executor/index.js");
    return createNetworks({ ...options, directory: CHANGES_DIRECTORY });
  };
  return {
    open() {
      networks ??= open();
      return networks;
    },
    async [Symbol.asyncDispose]() {
      await (await networks)?.[Symbol.asyncDispose]();
    },
  };
}

/** Takes back what engines that were killed have left in this machine's network. Nearly nothing to do where none has changed anything. */
export async function sweepStepNetworks(options: Pick<NetworksOptions, "plane" | "searchPath">): Promise<void> {
  if (!fs.existsSync(CHANGES_DIRECTORY) || changes().length === 0) return;
  const { sweepNetworks } = await import("../executor/index.js");
  await sweepNetworks({ ...options, directory: CHANGES_DIRECTORY });
}

/** What root's engines have changed only root can take back, and see. */
function changes(): readonly string[] {
  try {
    return fs.readdirSync(CHANGES_DIRECTORY);
  } catch (error) {
    if (systemCode(error) === "EACCES") return [];
    throw error;
  }
}
