import type { Cgroups } from "./cgroups.js";
import type { Runtime } from "./runtime.js";
import type { StepDirectory } from "./step-directory.js";

/** A program that runs an OCI bundle and ends with its process's exit code, or 1 and a reason where it cannot start it. */
export interface StepRunner {
  /** For people. */
  readonly name: string;
  /** Where it makes cgroups; absent: it makes none. */
  readonly cgroups?: Cgroups | undefined;
  command(step: StepDirectory): RunnerCommand;
}

/** A program and, beside mount and pid, the namespaces to run it in, as options of unshare(1). */
export interface RunnerCommand {
  readonly argv: readonly string[];
  readonly namespaces?: readonly string[];
}

/** Runs steps with runc or crun. */
export function runtimeRunner(runtime: Runtime, cgroups: Cgroups): StepRunner {
  return {
    name: runtime.kind,
    cgroups,
    command(step) {
      const line = [runtime.file, "--root", step.state, "--log", step.log, "--log-format", "json"];
      const run = [...line, "run", "--bundle", step.path, step.id];
      return { argv: runtime.kind === "crun" && cgroups.hybrid ? withoutMount(cgroups.hybrid, run) : run };
    },
  };
}

/** crun refuses cgroup v1 with a v2 hierarchy beside it. Nobody else shares the step's mount namespace, so the latter can go. */
function withoutMount(point: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'umount "$0" && exec "$@"', point, ...argv];
}
