import fs from "node:fs";
import { canceled, systemCode } from "../base/index.js";
import type { ProcessExit, Spawned, Spawner } from "../snapshot/index.js";
import type { RunOptions } from "./executor.js";
import { requireProgram } from "./programs.js";

/** The programs of util-linux that tie a step's life to the engine's. */
export interface LifeLine {
  readonly setpriv: string;
  readonly unshare: string;
}

/** What to run for a step, as a program of the host. */
export interface StepCommand {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Namespaces beside mount and pid. */
  readonly unshare?: readonly string[];
  readonly extraFiles?: readonly { readonly path: string; readonly flags: string }[];
}

/** How long a program may take from its start to its first child before it is killed itself. */
const FORK_LIMIT_MS = 200;
const FORK_PAUSE_MS = 1;

/** Finds the programs. Throws EngineError `unavailable` without them. */
export function findLifeLine(searchPath: string): LifeLine {
  const find = (name: string) => requireProgram(name, searchPath, "util-linux");
  return { setpriv: find("setpriv"), unshare: find("unshare") };
}

/**
 * Owns a step's life. The step and all its mounts live in a pid and a mount namespace whose first process is killed when its parent dies,
 * and that parent when the engine's thread does: whatever ends the engine ends the step. Settles when nothing of it is left; an abort
 * kills it at once, waits for that too, and throws EngineError `canceled`.
 */
export async function spawnStep(
  spawner: Spawner,
  lifeLine: LifeLine,
  command: StepCommand,
  { signal, onOutput, interactive }: RunOptions,
): Promise<ProcessExit> {
  if (signal?.aborted) throw canceled(signal);
  const child = await spawner.spawn(
    {
      argv: [...tied(lifeLine, command.unshare ?? []), ...command.argv],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      cwd: command.cwd,
      stdio: interactive ? "inherit" : "pipe",
      ...(command.extraFiles ? { extraFiles: command.extraFiles } : {}),
    },
    onOutput,
  );
  let killing: Promise<void> | undefined;
  const abort = () => {
    killing ??= killNamespace(child);
  };
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  try {
    const exit = await child.exit;
    await killing;
    if (signal?.aborted) throw canceled(signal);
    return exit;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function tied({ setpriv, unshare }: LifeLine, namespaces: readonly string[]): string[] {
  const line = [setpriv, "--pdeathsig", "KILL", "--", unshare, "--mount", "--pid", ...namespaces];
  return [...line, "--fork", "--kill-child", "--mount-proc", "--"];
}

/**
 * Kills the first process of the step's pid namespace, so that its parent, which we wait for, reaps it after all others are gone. Killing
 * the parent would end the step as well, but nobody would know when.
 */
async function killNamespace(child: Spawned): Promise<void> {
  let gone = false;
  void child.exit.then(() => {
    gone = true;
  });
  for (let waitedMs = 0; waitedMs < FORK_LIMIT_MS && !gone; waitedMs += FORK_PAUSE_MS) {
    const first = firstChild(child.pid);
    if (first !== undefined) return kill(first);
    await new Promise((resolve) => setTimeout(resolve, FORK_PAUSE_MS));
  }
  if (!gone) child.kill("SIGKILL");
}

function firstChild(pid: number): number | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text === "" ? undefined : Number(text.split(" ")[0]);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}
