import type { Engine, EngineOptions } from "../engine/index.js";
import type { RendererClock } from "../progress/index.js";

/** All that the command line tool has of the world outside; a test hands in its own. */
export interface Surroundings {
  /** The words after the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDirectory: string;
  /** This machine's platform: `linux/amd64`. */
  readonly platform: string;
  /** A terminal can stop showing what is typed, and give each key as it is pressed (`setRawMode`). */
  readonly stdin: AsyncIterable<Uint8Array> &
    Pick<NodeJS.ReadableStream, "on" | "off" | "pause" | "resume"> & {
      readonly isTTY?: boolean;
      setRawMode?(on: boolean): unknown;
    };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly clock: RendererClock;
  openEngine(options: EngineOptions): Promise<Engine>;
  /** Calls HANDLER for each SIGINT, SIGTERM and SIGHUP until the returned function is called. */
  onSignal(handler: (signal: StopSignal) => void): () => void;
  /**
   * Calls LEAVE before the process is stopped (Ctrl-Z), and what that gives when it goes on, until the returned function is called. It is
   * never stopped in the middle of anything synchronous, such as a transaction.
   */
  onSuspend(leave: () => () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** A standard stream that is written to; the sizes are those of its window, where it is a terminal. */
export type Output = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";
