import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";
import { killCgroup, ownCgroup, readCgroups, removeCgroup } from "./cgroups.js";

/**
 * Ends and removes what engines left that died: processes that escaped their end, cgroups, runtime state, bundles. OWNER_IS_ALIVE tells
 * of an owner's id whether its process runs.
 */
export async function sweepExecutor(dirs: StateDirs, ownerIsAlive: (owner: string) => boolean): Promise<void> {
  const owners = list(dirs.run).filter((owner) => !ownerIsAlive(owner));
  await Promise.all(owners.map((owner) => sweepOwner(path.join(dirs.run, owner))));
}

async function sweepOwner(directory: string): Promise<void> {
  killBundleProcesses(directory);
  const cgroups = readCgroups();
  for (const step of list(directory)) {
    const name = cgroupsPath(path.join(directory, step, "config.json"));
    if (name === undefined) continue;
    killCgroup(cgroups, name);
    await removeCgroup(cgroups, name);
  }
  fs.rmSync(directory, { recursive: true, force: true });
}

/** Every program of a step's life line names the step's directory in its arguments. */
function killBundleProcesses(directory: string): void {
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    const args = (optional(() => fs.readFileSync(`/proc/${pid}/cmdline`, "latin1")) ?? "").split("\0");
    const at = args.indexOf("--bundle");
    if (at > 0 && path.dirname(args[at + 1] ?? "") === directory) optional(() => process.kill(Number(pid), "SIGKILL"));
  }
}

function cgroupsPath(config: string): string | undefined {
  const text = optional(() => fs.readFileSync(config, "utf8"));
  if (text === undefined) return undefined;
  try {
    const { linux } = JSON.parse(text) as { linux?: { cgroupsPath?: unknown } };
    return typeof linux?.cgroupsPath === "string" ? ownCgroup(linux.cgroupsPath) : undefined;
  } catch {
    return undefined; // killed while it was written: the step had not been started
  }
}

function list(directory: string): string[] {
  return optional(() => fs.readdirSync(directory)) ?? [];
}

function optional<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ESRCH", "EACCES"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}
