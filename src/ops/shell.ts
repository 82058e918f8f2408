import { type AbortOptions, EngineError } from "../base/index.js";
import type { Executor, Exit, StepProcess, Terminal } from "../executor/index.js";
import type { DataPlane } from "../snapshot/index.js";

/** What a shell is opened in: a mounted root, and what a process there is given. */
export interface ShellPlace {
  readonly plane: Pick<DataPlane, "control">;
  readonly executor: Executor;
  readonly process: StepProcess;
  readonly rootfs: string;
}

export interface ShellOptions extends AbortOptions {
  /** Absent: this process's own input and outputs. */
  readonly terminal?: Terminal | undefined;
  /** What SHELL says, the program first; absent: what the place's process runs in, where that is a shell. */
  readonly wanted?: readonly string[] | undefined;
}

/** For people who like to edit what they type, then for all others. */
const SHELLS = ["/bin/bash", "/bin/sh"];
/** What SHELL names, as far as people can type there. */
const KNOWN_SHELLS = new Set("ash bash dash elvish fish ksh mksh nu pwsh tcsh yash zsh".split(" "));

/**
 * Opens a shell in PLACE: the wanted one if it is there, else bash or sh. Settles when it has ended and nothing of it is left. Throws
 * EngineError `not-found` where there is none.
 */
export async function openShell(place: ShellPlace, { terminal, wanted, signal }: ShellOptions): Promise<Exit> {
  const programs = [...new Set([...(wanted?.slice(0, 1) ?? ownShell(place.process)), ...SHELLS])];
  const root = { kind: "mounted", path: place.rootfs } as const;
  const shell = await place.plane.control("findProgram", { root, programs, searchPath: pathOf(place.process.env) });
  if (shell === undefined) throw noShell(programs);
  return await runThere(place, [shell], { terminal, signal });
}

/** Runs ARGS in PLACE instead of what its process says. */
export function runThere(
  { executor, process, rootfs }: ShellPlace,
  args: readonly string[],
  { terminal, signal }: Pick<ShellOptions, "terminal" | "signal">,
): Promise<Exit> {
  const env = terminal ? withTerminalType(process.env) : process.env;
  return executor.run({ ...process, args, env }, rootfs, {
    signal,
    stdio: terminal ?? "inherited",
    onOutput: () => {},
  });
}

function ownShell({ args: [program = ""] }: StepProcess): readonly string[] {
  return KNOWN_SHELLS.has(program.replace(/^.*\//, "")) ? [program] : [];
}

/** ENV, where it names no terminal, with the one that docker run names. */
function withTerminalType(env: readonly string[]): readonly string[] {
  return env.some((entry) => entry.startsWith("TERM=")) ? env : [...env, "TERM=xterm"];
}

function pathOf(env: readonly string[]): string {
  return env.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
}

function noShell(programs: readonly string[]): EngineError {
  return new EngineError("not-found", `there is no shell in the container: neither ${programs.join(" nor ")}`);
}
