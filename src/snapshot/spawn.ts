import type { AbortOptions } from "../base/index.js";

/** A program to start inside the data plane's private mount namespace. */
export interface SpawnRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /**
   * `pipe`: /dev/null as input, output to the caller's callback. `inherit`: the caller's own three; else a terminal, by its path. Of these
   * two the third is the descriptor after the extra files, and the errors of the program itself go to the callback.
   */
  readonly stdio: "pipe" | "inherit" | { readonly terminal: string };
  /** Files opened for the child as descriptors 3, 4, …; `flags` as in fs.open. */
  readonly extraFiles?: readonly { readonly path: string; readonly flags: string }[];
  /** The network namespace it is started in, as the job `openNetwork` has given it; absent: this process's. */
  readonly network?: number | undefined;
}

/** A running program. */
export interface Spawned {
  readonly pid: number;
  /** Settles when the program is gone and its output has been delivered. */
  readonly exit: Promise<ProcessExit>;
  kill(signal: NodeJS.Signals): void;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Starts programs whose parent is the data plane's ground thread: they die with the engine if they ask for it (PR_SET_PDEATHSIG). */
export interface Spawner {
  spawn(request: SpawnRequest, onOutput: (fd: 1 | 2, chunk: Uint8Array) => void): Promise<Spawned>;
}

export interface AttendOptions extends AbortOptions {
  /** Called when it has got ready. */
  readonly onReady: () => void;
}

/** Has threads of another bundle do what takes as long as something else lasts, beside where programs are started. */
export interface Attendants {
  /** Settles at the end; threads are used again. ARGS is plain data. Throws what the bundle throws. */
  attend(args: unknown, options: AttendOptions): Promise<void>;
}
