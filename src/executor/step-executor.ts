import fs from "node:fs";
import path from "node:path";
import { EngineError, lazy, systemCode } from "../base/index.js";
import type { ProcessExit, Spawner, StateDirs } from "../snapshot/index.js";
import { parseCapabilityMask } from "./capabilities.js";
import { removeCgroup } from "./cgroups.js";
import { hostsFile } from "./etc-files.js";
import type { Executor, Exit, RunOptions, StepProcess } from "./executor.js";
import { startFailure } from "./failure.js";
import { insecureDevices } from "./insecure-devices.js";
import type { StepRunner } from "./runner.js";
import { RuntimeLog } from "./runtime-log.js";
import { runtimeSpec, type SpecHost } from "./runtime-spec.js";
import { findLifeLine, type LifeLine, spawnStep } from "./spawn-step.js";
import { removeStepDirectory, type StepDirectory, stepDirectories } from "./step-directory.js";

export interface StepExecutorOptions {
  readonly spawner: Spawner;
  readonly dirs: StateDirs;
  /** The engine's id, unique on the machine; `sweepExecutor` finds by it what a dead engine left. */
  readonly owner: string;
  readonly runner: StepRunner;
  /** SPAWNER starts programs in a user namespace. */
  readonly userNamespace?: boolean | undefined;
  /** Where to find programs, as PATH has it. */
  readonly searchPath: string;
}

/** What runtimes exit with when they give up. */
const START_FAILURE = 1;
/** Of its own name at the top, unless the user names a parent: so nothing of ours is left when the step's is removed. */
const CGROUP_PREFIX = "ashlar-";

/** Creates the executor that runs steps as OCI bundles with RUNNER. Throws EngineError `unavailable` without util-linux. */
export function createExecutor(options: StepExecutorOptions): Executor {
  return new StepExecutor(options);
}

class StepExecutor implements Executor {
  readonly #spawner: Spawner;
  readonly #runner: StepRunner;
  readonly #userNamespace: boolean;
  readonly #lifeLine: LifeLine;
  readonly #directory: ReturnType<typeof stepDirectories>;
  readonly #host: () => SpecHost;

  constructor({ spawner, dirs, owner, runner, searchPath, userNamespace = false }: StepExecutorOptions) {
    this.#spawner = spawner;
    this.#runner = runner;
    this.#userNamespace = userNamespace;
    this.#lifeLine = findLifeLine(searchPath);
    this.#directory = stepDirectories(dirs, owner);
    this.#host = lazy(() => specHost(runner.cgroups?.version ?? 1, userNamespace));
  }

  async run(process: StepProcess, rootfs: string, options: RunOptions): Promise<Exit> {
    refuseDescriptorCwd(process.cwd);
    const step = this.#directory({ hosts: hostsFile(process), resolvConf: resolvConf() });
    const cgroupsPath = this.#cgroupsPath(process, step);
    try {
      const terminal = process.tty && options.interactive === true;
      const spec = runtimeSpec(process, { rootfs, etc: step.etc, cgroupsPath }, this.#host(), terminal);
      fs.writeFileSync(step.config, JSON.stringify(spec), { flag: "wx", mode: 0o600 });
      return await this.#spawn(step, process, options);
    } finally {
      if (this.#runner.cgroups && cgroupsPath !== undefined) await removeCgroup(this.#runner.cgroups, cgroupsPath);
      removeStepDirectory(step);
    }
  }

  async #spawn(step: StepDirectory, process: StepProcess, options: RunOptions): Promise<Exit> {
    const log = new RuntimeLog(step.log, options.onOutput);
    const command = { ...this.#runner.command(step, process), directory: step.path, user: process.user };
    const exit = await spawnStep(this.#spawner, this.#lifeLine, command, {
      ...options,
      onOutput: (fd, chunk) => log.output(fd, chunk),
    });
    const words = log.finish();
    if (words !== undefined) {
      // Where the step itself has said something it was started, and the runtime's words are about what came later.
      if (exit.code === START_FAILURE && !log.spoke) return startFailure(this.#runner.name, words);
      options.onWarning?.(`${this.#runner.name}: ${words}`);
    }
    return exitOf(exit);
  }

  #cgroupsPath({ cgroupParent }: StepProcess, step: StepDirectory): string | undefined {
    if (this.#userNamespace || !this.#runner.cgroups || this.#runner.cgroups.mounts.length === 0) return undefined;
    return path.posix.join("/", cgroupParent ?? "", `${CGROUP_PREFIX}${step.id}`);
  }
}

function exitOf({ code, signal }: ProcessExit): Exit {
  return code === null ? { kind: "signaled", signal: signal ?? "SIGKILL" } : { kind: "exited", code };
}

/** A runtime may leak descriptors of the host into the step, and a cwd there leads out of its root (CVE-2024-21626). */
function refuseDescriptorCwd(cwd: string): void {
  if (/^\/proc\/([^/]+\/(task\/[^/]+\/)?)(fd|cwd|root)(\/|$)/.test(path.posix.normalize(cwd))) {
    throw new EngineError("denied", `the working directory ${cwd} is not allowed`);
  }
}

function specHost(cgroupVersion: 1 | 2, userNamespace: boolean): SpecHost {
  return {
    arch: process.arch,
    capabilities: ownCapabilities(),
    cgroupVersion,
    userNamespace,
    devices: insecureDevices,
  };
}

/** The effective capabilities of this process. */
function ownCapabilities(): string[] {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1];
  return mask === undefined ? [] : parseCapabilityMask(mask);
}

/** The host's: a step shares its network. */
function resolvConf(): Uint8Array {
  try {
    return fs.readFileSync("/etc/resolv.conf").subarray(0, RESOLV_CONF_MAX_BYTES);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return new Uint8Array();
    throw error;
  }
}

const RESOLV_CONF_MAX_BYTES = 64 * 1024;
