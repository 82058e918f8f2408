import fs from "node:fs";
import { canceled, EngineError, systemCode } from "../base/index.js";
import type { ProcessExit, Spawned, Spawner } from "../snapshot/index.js";
import type { RunOptions } from "./executor.js";
import type { NetworkEntry } from "./network.js";
import { requireProgram } from "./programs.js";
import { StepPipes, supervised } from "./step-pipes.js";
import { isTerminal, StepTerminal } from "./step-terminal.js";

/** The programs of util-linux that tie a step's life to the engine's. */
export interface LifeLine {
  readonly setpriv: string;
  readonly unshare: string;
  /** Only for steps with a terminal. Throws EngineError `unavailable` without it. */
  readonly setsid: () => string;
}

/** What to run for a step, as a program of the host. */
export interface StepCommand {
  readonly argv: readonly string[];
  /** More options of unshare(1), for namespaces beside mount and pid. */
  readonly namespaces?: readonly string[];
  /** It is to be the first process of a pid namespace; /proc is that of the namespace around. */
  readonly first?: boolean;
  /** The network namespace to run it in; absent: this process's. */
  readonly network?: NetworkEntry | undefined;
  /** It makes itself a session where it has a terminal. */
  readonly ownSession?: boolean;
  /** Where its pipes may be made. */
  readonly directory: string;
  readonly user: { readonly uid: number; readonly gid: number };
}

/** How long a program may take from its start to its first child before it is killed itself. */
const FORK_LIMIT_MS = 200;
const FORK_PAUSE_MS = 1;
const COMPLAINT_MAX_CHARS = 4096;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Finds the programs. Throws EngineError `unavailable` without them. */
export function findLifeLine(searchPath: string): LifeLine {
  const find = (name: string) => requireProgram(name, searchPath, "util-linux");
  return { setpriv: find("setpriv"), unshare: find("unshare"), setsid: () => find("setsid") };
}

/**
 * Owns a step's life. The step and all its mounts live in a pid and a mount namespace whose first process is killed when its parent dies,
 * and that parent when the engine's thread does: whatever ends the engine ends the step. Settles when nothing of it is left; an abort
 * kills it at once, waits for that too, and throws EngineError `canceled`. Throws `unavailable` where the namespaces cannot be had.
 */
export async function spawnStep(
  spawner: Spawner,
  lifeLine: LifeLine,
  command: StepCommand,
  options: RunOptions,
): Promise<ProcessExit> {
  const { signal } = options;
  if (signal?.aborted) throw canceled(signal);
  using terminal = isTerminal(options.stdio) ? StepTerminal.open(options.stdio) : undefined;
  using started = await start(spawner, lifeLine, command, { ...options, terminal });
  const { child, outputs, complaint } = started;
  let killing: Promise<void> | undefined;
  const abort = () => {
    killing ??= killNamespace(child);
  };
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  try {
    const [exit] = await Promise.all([child.exit, outputs]);
    await killing;
    if (signal?.aborted) throw canceled(signal);
    if (complaint() !== "") throw new EngineError("unavailable", `the step could not be isolated: ${complaint()}`);
    return exit;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

interface Started extends Disposable {
  readonly child: Spawned;
  /** Settles at the end of the step's outputs. */
  readonly outputs: Promise<void>;
  /** What the life line itself has to say; the step has pipes of its own. */
  readonly complaint: () => string;
}

interface StartOptions extends RunOptions {
  /** Made of `stdio`, where that is one. */
  readonly terminal: StepTerminal | undefined;
}

async function start(
  spawner: Spawner,
  lifeLine: LifeLine,
  command: StepCommand,
  { terminal, stdio: wanted, onOutput }: StartOptions,
): Promise<Started> {
  const pipes = StepPipes.make(command.directory, command.user);
  let complaint = "";
  const session = terminal && !command.ownSession ? [lifeLine.setsid(), "--ctty", "--"] : [];
  const outputsAre = wanted === undefined ? "pipes" : "inherited";
  const argv = [...session, ...tied(lifeLine, command), ...supervised(command.argv, outputsAre)];
  const stdio = terminal ? { terminal: terminal.path } : wanted === undefined ? "pipe" : "inherit";
  try {
    const network = command.network?.kind === "open" ? command.network.namespace : undefined;
    const request = { argv, env: { PATH }, cwd: "/", stdio, extraFiles: pipes.files, network } as const;
    const child = await spawner.spawn(request, (_, chunk) => {
      complaint = (complaint + Buffer.from(chunk).toString("utf8")).slice(0, COMPLAINT_MAX_CHARS);
    });
    const outputs = terminal ? terminal.relay() : wanted === undefined ? pipes.read(onOutput) : Promise.resolve();
    return { child, outputs, complaint: () => complaint.trim(), [Symbol.dispose]: () => pipes[Symbol.dispose]() };
  } catch (error) {
    pipes[Symbol.dispose]();
    throw error;
  }
}

function tied({ setpriv, unshare }: LifeLine, { namespaces = [], first, network }: StepCommand): string[] {
  const enter = network?.kind === "file" ? [network.nsenter, `--net=${network.path}`, "--"] : [];
  const line = [setpriv, "--pdeathsig", "KILL", "--", ...enter, unshare, "--mount", "--pid", ...namespaces];
  // Without --fork the next one to be forked, the command itself, is the first in the inner namespace.
  return [...line, "--fork", "--kill-child", "--mount-proc", "--", ...(first ? [unshare, "--pid", "--"] : [])];
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
