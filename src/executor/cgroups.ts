import fs from "node:fs";
import path from "node:path";
import { EngineError, systemCode } from "../base/index.js";

/** The machine's control groups: version 1 has one hierarchy per mount. */
export interface Cgroups {
  readonly version: 1 | 2;
  /** Mount points of the hierarchies processes are put into; empty where there are none. */
  readonly mounts: readonly string[];
  /** A version 2 hierarchy without controllers beside version 1: crun refuses it. */
  readonly hybrid?: string | undefined;
}

const ROOT = "/sys/fs/cgroup";
/** How long an emptied cgroup may take to let go of its last process. */
const REMOVAL_LIMIT_MS = 1000;
const REMOVAL_PAUSE_MS = 5;
const PROCESSES_MAX = 100_000;

/** Reads the control groups from the text of /proc/self/mountinfo (proc(5)). */
export function parseCgroups(mountinfo: string): Cgroups {
  const mounts = mountinfo.split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const point = before?.split(" ")[4];
    const type = after?.split(" ")[0];
    return point?.startsWith(ROOT) && (type === "cgroup" || type === "cgroup2") ? [{ point, type }] : [];
  });
  if (mounts.some(({ point, type }) => point === ROOT && type === "cgroup2")) return { version: 2, mounts: [ROOT] };
  const named = [...new Set(mounts.map(({ point }) => point))];
  return { version: 1, mounts: named, hybrid: mounts.find(({ type }) => type === "cgroup2")?.point };
}

/** The machine's control groups. */
export function readCgroups(): Cgroups {
  return parseCgroups(fs.readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Which of CONTROLLERS version 2 doesn't have, as where version 1 beside it has them; version 1 tells by its mounts, and runtimes say it. */
export function missingControllers({ version, mounts: [mount] }: Cgroups, controllers: readonly string[]): string[] {
  if (version === 1 || mount === undefined) return [];
  const text = optional(() => fs.readFileSync(path.join(mount, "cgroup.controllers"), "utf8")) ?? "";
  const present = new Set(text.trim().split(" "));
  return controllers.filter((controller) => !present.has(controller));
}

/** Of its own name, so that nothing of ours is left when the step's is removed. */
const OWN_PREFIX = "ashlar-";
/** Below it in version 2: what the kernel counts there stays readable when the runtime has removed its own. */
const INNER = "step";

/** The control group of a step: which one is ours to remove, and which one the runtime is to make. */
export interface StepCgroup {
  readonly own: string;
  readonly path: string;
}

/** The control group of the step ID below PARENT. */
export function stepCgroup({ version }: Cgroups, parent: string, id: string): StepCgroup {
  const own = path.posix.join("/", parent, `${OWN_PREFIX}${id}`);
  return { own, path: version === 2 ? `${own}/${INNER}` : own };
}

/** The one to remove for PATH, which a runtime was given. */
export function ownCgroup(path: string): string {
  return path.replace(/(\/ashlar-[^/]+)\/step$/, "$1");
}

/** Whether the kernel has killed a process in the cgroup NAME for want of memory; version 1 does not tell afterwards. */
export function ranOutOfMemory({ version, mounts: [mount] }: Cgroups, name: string): boolean {
  if (version === 1 || mount === undefined) return false;
  const events = optional(() => fs.readFileSync(path.join(inside(mount, name), "memory.events"), "utf8")) ?? "";
  return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0) > 0;
}

/** Removes the cgroup NAME (`/a/b`) of every hierarchy; it has no process any more, though the kernel may need a moment to know. */
export async function removeCgroup({ mounts }: Cgroups, name: string): Promise<void> {
  const left = new Set(cgroupDirectories({ mounts }, name));
  const attempts = REMOVAL_LIMIT_MS / REMOVAL_PAUSE_MS;
  for (let attempt = 0; attempt < attempts; attempt++) {
    for (const directory of left) if (removeDirectories(directory)) left.delete(directory);
    if (left.size === 0) return;
    await new Promise((resolve) => setTimeout(resolve, REMOVAL_PAUSE_MS));
  }
}

/**
 * Removes the empty cgroups of steps whose engine is gone and has left nothing that names them, as where its state directory was removed.
 * IS_RUNNING tells of a process's number; cgroups of engines that it can't know have processes, which keep them.
 */
export function removeAbandonedCgroups({ mounts }: Pick<Cgroups, "mounts">, isRunning: (pid: number) => boolean): void {
  for (const directory of mounts.flatMap(children)) {
    const pid = ABANDONED.exec(path.basename(directory))?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) removeDirectories(directory);
  }
}

/** Of a step whose owner's id is a process and a UUID. */
const ABANDONED = new RegExp(`^${OWN_PREFIX}([1-9][0-9]*)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]+$`);

/** Where the cgroup NAME is in each hierarchy. */
export function cgroupDirectories({ mounts }: Pick<Cgroups, "mounts">, name: string): string[] {
  return mounts.map((mount) => inside(mount, name));
}

/** Where the cgroup NAME of version 2 is. */
export function cgroupDirectory({ mounts: [mount] }: Cgroups, name: string): string {
  if (mount === undefined) throw new EngineError("internal", "no control groups");
  return inside(mount, name);
}

/** Kills every process in the cgroup NAME and below. */
export function killCgroup({ mounts }: Cgroups, name: string): void {
  const pids = new Set(cgroupDirectories({ mounts }, name).flatMap(processesIn));
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (systemCode(error) !== "ESRCH") throw error;
    }
  }
}

function inside(mount: string, name: string): string {
  const relative = path.posix.normalize(`/${name}`).replace(/^\/+|\/+$/g, "");
  if (relative === "") throw new EngineError("internal", `no cgroup of a step: ${name}`);
  return path.join(mount, relative);
}

function processesIn(directory: string): number[] {
  const text = optional(() => fs.readFileSync(path.join(directory, "cgroup.procs"), "utf8")) ?? "";
  const pids = text.split("\n").slice(0, PROCESSES_MAX).map(Number);
  return [...pids.filter((pid) => pid > 1), ...children(directory).flatMap(processesIn)];
}

/** Whether nothing is left to remove. */
function removeDirectories(directory: string): boolean {
  for (const child of children(directory)) removeDirectories(child);
  try {
    fs.rmdirSync(directory);
    return true;
  } catch (error) {
    switch (systemCode(error)) {
      case "EBUSY":
        return false;
      case "ENOENT":
      case "EROFS":
      case "EACCES":
      case "EPERM":
        return true; // gone, or never ours to make
      default:
        throw error;
    }
  }
}

function children(directory: string): string[] {
  const entries = optional(() => fs.readdirSync(directory, { withFileTypes: true })) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(directory, entry.name));
}

function optional<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}
