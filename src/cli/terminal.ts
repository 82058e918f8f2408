import type { Terminal } from "../engine/index.js";
import type { Output, Surroundings } from "./surroundings.js";

/** The user's terminal while a program in a container has it: its keys are nobody else's, not even Ctrl-C. */
export interface LentTerminal extends Terminal, Disposable {}

/** Whether there is somebody to type, and a terminal for OUTPUT to show on. */
export function hasTerminal({ stdin }: Surroundings, output: Output): boolean {
  return stdin.isTTY === true && output.isTTY === true;
}

/** Lends the terminal of standard input, with OUTPUT to show on; it is as it was when that is disposed of. */
export function lendTerminal({ stdin }: Surroundings, output: Output): LentTerminal {
  stdin.setRawMode?.(true);
  return {
    input: stdin,
    output,
    size: () => ({ columns: output.columns || DEFAULT_COLUMNS, rows: output.rows || DEFAULT_ROWS }),
    onResize(listener) {
      output.on("resize", listener);
      return () => output.off("resize", listener);
    },
    [Symbol.dispose]: () => void stdin.setRawMode?.(false),
  };
}

/** The usual size, for terminals that don't tell theirs. */
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
