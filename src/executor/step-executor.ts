import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, EngineError, lazy, type TerminalSize } from "../base/index.js";
import type { Attendants, ProcessExit, Spawner, StateDirs } from "../snapshot/index.js";
import { parseCapabilityMask } from "./capabilities.js";
import { CgroupParents } from "./cgroup-parents.js";
import {
  missingControllers,
  ranOutOfMemory,
  removeAbandonedCgroups,
  removeCgroup,
  type StepCgroup,
  stepCgroup,
} from "./cgroups.js";
import { guardDevices } from "./device-guard.js";
import type { Executor, Exit, RunOptions, StepProcess, StepResources } from "./executor.js";
import { startFailure } from "./failure.js";
import { insecureDevices } from "./insecure-devices.js";
import type { NetworkEntry } from "./network.js";
import type { Networks } from "./networks.js";
import { oneIdSpec, superviseStep } from "./one-id/step.js";
import type { StepRunner } from "./runner.js";
import { RuntimeLog } from "./runtime-log.js";
import { type RuntimeSpec, runtimeSpec, type SpecHost, type StepPlace } from "./runtime-spec.js";
import { seccompArchitectures } from "./seccomp-profile.js";
import { findLifeLine, type LifeLine, spawnStep } from "./spawn-step.js";
import { controllersOf } from "./spec-resources.js";
import { removeStepDirectory, type StepDirectory, stepDirectories } from "./step-directory.js";
import { connectStep } from "./step-network.js";
import { isTerminal } from "./step-terminal.js";

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
  /** Absent: all steps share this machine's network. They stay the caller's, who closes them when no step runs any more. */
  readonly networks?: Networks | undefined;
  /** The user namespace has one id: these hold the supervisors that tell the others apart. */
  readonly attendants?: Attendants | undefined;
}

/** What runtimes exit with when they give up. */
const START_FAILURE = 1;

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
  readonly #networks: Networks | undefined;
  readonly #attendants: Attendants | undefined;
  readonly #parents: CgroupParents | undefined;
  readonly #host: () => SpecHost;
  /** Once, before the first step: takes away what engines left there of which no state directory tells. */
  readonly #sweepCgroups: () => void;

  constructor(options: StepExecutorOptions) {
    const { spawner, dirs, owner, runner, searchPath, networks, userNamespace = false } = options;
    this.#attendants = options.attendants;
    this.#spawner = spawner;
    this.#runner = runner;
    this.#userNamespace = userNamespace;
    this.#parents = runner.cgroups && new CgroupParents(runner.cgroups);
    this.#lifeLine = findLifeLine(searchPath);
    this.#directory = stepDirectories(dirs, owner);
    this.#networks = networks;
    this.#sweepCgroups = lazy(() => {
      if (runner.cgroups) removeAbandonedCgroups(runner.cgroups, (pid) => fs.existsSync(`/proc/${pid}`));
    });
    this.#host = lazy(() => specHost(runner.cgroups?.version ?? 1, userNamespace));
  }

  async run(process: StepProcess, rootfs: string, options: RunOptions): Promise<Exit> {
    refuseDescriptorCwd(process.cwd);
    this.#refuseUnkeptBounds(process.resources);
    await using connection = await connectStep(process, this.#networks, options);
    const step = this.#directory(connection.files);
    const cgroup = this.#cgroup(process, step);
    using _parent = cgroup && this.#parents?.enter(process.cgroupParent ?? "");
    try {
      const terminal = isTerminal(options.stdio) ? options.stdio.size() : undefined;
      await using _ = this.#attendants && (await this.#supervise(this.#attendants, step, process, options));
      const spec = this.#spec(process, step, { rootfs, etc: step.etc, cgroupsPath: cgroup?.path }, terminal);
      fs.writeFileSync(step.config, JSON.stringify(this.#forRunner(spec)), { flag: "wx", mode: 0o600 });
      if (cgroup) this.#guard(cgroup, spec);
      const exit = await this.#spawn(step, process, { ...options, rootfs, network: connection.entry });
      return cgroup ? this.#explained(exit, cgroup) : exit;
    } finally {
      if (this.#runner.cgroups && cgroup) await removeCgroup(this.#runner.cgroups, cgroup.own);
      removeStepDirectory(step);
    }
  }

  #spec(
    process: StepProcess,
    { path: directory }: StepDirectory,
    place: StepPlace,
    terminal?: TerminalSize,
  ): RuntimeSpec {
    const spec = runtimeSpec(process, place, this.#host(), terminal);
    const architectures = seccompArchitectures(this.#host().arch);
    return this.#attendants ? oneIdSpec(spec, { directory, architectures }) : spec;
  }

  #forRunner(spec: RuntimeSpec): RuntimeSpec {
    if (!this.#runner.leavesDevices) return spec;
    return { ...spec, linux: { ...spec.linux, resources: { ...spec.linux.resources, devices: [] } } };
  }

  #guard({ own }: StepCgroup, { linux }: RuntimeSpec): void {
    const { cgroups, leavesDevices } = this.#runner;
    if (cgroups && leavesDevices) guardDevices(cgroups, own, linux.resources.devices);
  }

  #supervise(attendants: Attendants, { path: directory }: StepDirectory, process: StepProcess, options: AbortOptions) {
    const { gid, groups } = process.user;
    return superviseStep(attendants, { directory, groups: [...new Set([gid, ...groups])] }, options);
  }

  async #spawn(
    step: StepDirectory,
    process: StepProcess,
    { network, rootfs, ...options }: SpawnOptions,
  ): Promise<Exit> {
    const log = new RuntimeLog(step.log, options.onOutput);
    const command = { ...this.#runner.command(step, process), directory: step.path, user: process.user, network };
    const exit = await spawnStep(this.#spawner, this.#lifeLine, command, {
      ...options,
      onOutput: (fd, chunk) => log.output(fd, chunk),
    });
    const words = log.finish();
    if (words !== undefined) {
      // Where the step itself has said something it was started, and the runtime's words are about what came later.
      if (exit.code === START_FAILURE && !log.spoke) return startFailure(this.#runner.name, words, rootfs);
      options.onWarning?.(`${this.#runner.name}: ${words}`);
    }
    return exitOf(exit);
  }

  #refuseUnkeptBounds(resources: StepResources = {}): void {
    const { name, cgroups } = this.#runner;
    const controllers = controllersOf(resources);
    if (controllers.length === 0) return;
    if (!cgroups || !this.#hasCgroups()) throw unbounded(`${name} has no control groups here`);
    const missing = missingControllers(cgroups, controllers);
    if (missing.length > 0) throw unbounded(`the control groups here have no controller ${missing.join(", ")}`);
  }

  #hasCgroups(): boolean {
    return !this.#userNamespace && (this.#runner.cgroups?.mounts.length ?? 0) > 0;
  }

  #cgroup({ cgroupParent }: StepProcess, step: StepDirectory): StepCgroup | undefined {
    if (!this.#runner.cgroups || !this.#hasCgroups()) return undefined;
    this.#sweepCgroups();
    return stepCgroup(this.#runner.cgroups, cgroupParent ?? "", step.id);
  }

  /** EXIT with the kernel's part in it. */
  #explained(exit: Exit, { own }: StepCgroup): Exit {
    if (!this.#runner.cgroups || exit.kind !== "exited" || exit.code === 0) return exit;
    return ranOutOfMemory(this.#runner.cgroups, own) ? { ...exit, outOfMemory: true } : exit;
  }
}

interface SpawnOptions extends RunOptions {
  readonly rootfs: string;
  readonly network: NetworkEntry | undefined;
}

function unbounded(reason: string): EngineError {
  return new EngineError("unsupported", `memory and CPU of steps cannot be bounded: ${reason}`, {
    hint: "run steps with runc or crun as root on a machine with control groups, or leave --resource out",
  });
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
    capabilities: ownCapabilities(userNamespace ? "CapBnd" : "CapEff"),
    cgroupVersion,
    userNamespace,
    devices: insecureDevices,
  };
}

/** The effective capabilities of this process, or those that root of a user namespace has. */
function ownCapabilities(set: "CapEff" | "CapBnd"): string[] {
  const mask = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1];
  return mask === undefined ? [] : parseCapabilityMask(mask);
}
