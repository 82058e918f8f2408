import fs from "node:fs";
import { EngineError } from "../base/index.js";
import type { Cgroups } from "./cgroups.js";
import type { StepProcess } from "./executor.js";
import type { Runtime } from "./runtime.js";
import { hasSyscallNumbers } from "./seccomp-bpf.js";
import type { StepCommand } from "./spawn-step.js";
import type { StepDirectory } from "./step-directory.js";

/** A program that runs an OCI bundle and ends with its process's exit code, or 1 and a reason where it cannot start it. */
export interface StepRunner {
  /** For people. */
  readonly name: string;
  /** Where it makes cgroups; absent: it makes none. */
  readonly cgroups?: Cgroups | undefined;
  /** It is not asked to keep steps from devices: whoever makes their cgroups does. */
  readonly leavesDevices?: boolean;
  command(step: StepDirectory, process: StepProcess): RunnerCommand;
}

/** A program and how to run it. */
export type RunnerCommand = Pick<StepCommand, "argv" | "namespaces" | "first" | "ownSession">;

export interface RuntimeOptions {
  /** It is started in a user namespace and has no say about cgroups: steps stay in the caller's. */
  readonly userNamespace: boolean;
}

/** Runs steps with runc or crun. */
export function runtimeRunner(runtime: Runtime, cgroups: Cgroups, { userNamespace }: RuntimeOptions): StepRunner {
  return {
    name: runtime.kind,
    cgroups: userNamespace ? undefined : cgroups,
    // With version 2 crun wants RLIMIT_MEMLOCK lifted first, which takes CAP_SYS_RESOURCE, although kernels no longer count by it.
    leavesDevices: runtime.kind === "crun" && cgroups.version === 2 && !userNamespace,
    command(step) {
      // runc finds out by itself what it may do.
      const manager = runtime.kind === "crun" && userNamespace ? ["--cgroup-manager", "disabled"] : [];
      const line = [runtime.file, "--root", step.state, "--log", step.log, "--log-format", "json", ...manager];
      const run = [...line, "run", "--bundle", step.path, step.id];
      if (runtime.kind !== "crun" || !cgroups.hybrid) return { argv: run };
      return { argv: userNamespace ? withCovered(CGROUP_ROOT, run) : withoutMount(cgroups.hybrid, run) };
    },
  };
}

const CGROUP_ROOT = "/sys/fs/cgroup";

export interface SandboxPrograms {
  /** The Node.js program. */
  readonly node: string;
  /** The bundle of sandbox/main.ts. */
  readonly entry: string;
}

/**
 * Runs steps in namespaces of our own making, for machines without an OCI runtime: the same mounts, capabilities and call filter, but no
 * cgroups, so that devices are refused by mount options, and steps of foreign architectures' calling conventions do not run. To be chosen
 * by name, never as a silent fallback. Throws EngineError `unsupported` where no call filter can be made for the machine.
 */
export function sandboxRunner({ node, entry }: SandboxPrograms, nodeArch: string): StepRunner {
  if (!hasSyscallNumbers(nodeArch))
    throw new EngineError("unsupported", `the sandbox has no system call filter for ${nodeArch}`);
  return {
    name: "the sandbox",
    command(step, { network, devices }) {
      if (devices && devices.hooks.length > 0)
        throw new EngineError("unsupported", "a device needs hooks, which the sandbox does not run: use runc or crun");
      const net = network === "none" ? ["--net"] : [];
      return {
        argv: [node, entry, "--bundle", step.path, "--outside", fs.readlinkSync("/proc/self/ns/uts")],
        first: true,
        ownSession: true,
        namespaces: ["--uts", "--ipc", "--cgroup", ...net],
      };
    },
  };
}

/** crun refuses cgroup v1 with a v2 hierarchy beside it. Nobody else shares the step's mount namespace, so the latter can go. */
function withoutMount(point: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'umount "$0" && exec "$@"', point, ...argv];
}

/** As `withoutMount`, where mounts of the machine's may be hidden, but not taken away. */
function withCovered(point: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', point, ...argv];
}
