import { stripVTControlCharacters } from "node:util";
import type { WindowSize } from "./frame.js";
import type { TextOutput } from "./renderer.js";
import { textWidth } from "./text-width.js";

/** A few lines at the end of a terminal that are drawn over and over. */
export interface Screen {
  /** Replaces what was drawn last. The lines fit the window. */
  draw(lines: readonly string[], window: WindowSize): void;
}

export function createScreen(out: TextOutput): Screen {
  return new TerminalScreen(out);
}

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const ERASE_LINE_END = "\x1b[K";
const ERASE_BELOW = "\x1b[J";

class TerminalScreen implements Screen {
  readonly #out: TextOutput;
  #drawn: readonly string[] = [];

  constructor(out: TextOutput) {
    this.#out = out;
  }

  draw(lines: readonly string[], window: WindowSize): void {
    // A window made narrower wraps the lines that stand there, and more rows have to be gone back.
    const rows = this.#drawn.reduce((sum, line) => sum + rowsOf(line, window.columns), 0);
    const up = Math.min(rows, Math.max(window.rows - 1, 0));
    const back = up > 0 ? `\x1b[${up}A` : "";
    const body = lines.map((line) => `${line}${ERASE_LINE_END}\n`).join("");
    // The cursor is hidden for one write only: a process that is killed leaves it visible.
    this.#out.write(`${HIDE_CURSOR}\r${back}${body}${ERASE_BELOW}${SHOW_CURSOR}`);
    this.#drawn = lines;
  }
}

function rowsOf(line: string, columns: number): number {
  return Math.max(Math.ceil(textWidth(stripVTControlCharacters(line)) / Math.max(columns, 1)), 1);
}
