import {
  createPausable,
  createPlainRenderer,
  createQuietRenderer,
  createRawjsonRenderer,
  createTtyRenderer,
  type PausableRenderer,
  type TextOutput,
} from "../progress/index.js";
import type { ProgressMode } from "./build-request.js";
import type { Surroundings } from "./surroundings.js";
import { UsageError } from "./usage-error.js";

/** The renderer MODE asks for, on standard error. */
export function createRenderer(mode: ProgressMode, surroundings: Surroundings, debug: boolean): PausableRenderer {
  const { stderr, clock, env } = surroundings;
  const isTerminal = stderr.isTTY === true;
  // https://no-color.org: any value but the empty one.
  const color = isTerminal && !env.NO_COLOR;
  const options = { clock, color, debug };
  const out: TextOutput = { write: (text) => stderr.write(text) };
  switch (mode) {
    case "quiet":
    case "none":
      return createPausable(out, (held) => createQuietRenderer(held, options));
    case "rawjson":
      return createPausable(out, (held) => createRawjsonRenderer(held, options));
    case "tty":
      if (!isTerminal) throw new UsageError("--progress=tty needs a terminal on standard error");
      return createTtyRenderer(out, { ...options, ...ttyOptions(surroundings) });
    case "auto":
      if (isTerminal && env.TERM !== "dumb") return createTtyRenderer(out, { ...options, ...ttyOptions(surroundings) });
      return createPausable(out, (held) => createPlainRenderer(held, options));
    case "plain":
      return createPausable(out, (held) => createPlainRenderer(held, options));
  }
}

/** While the process is stopped (Ctrl-Z) the terminal is the shell's: RENDERER goes on below whatever stands there then. */
export function leavingScreen(renderer: PausableRenderer, { onSuspend }: Surroundings): Disposable {
  return { [Symbol.dispose]: onSuspend(() => renderer.pause()) };
}

function ttyOptions({ stderr, env }: Surroundings) {
  const lines = env.BUILDKIT_TTY_LOG_LINES ?? "";
  return {
    window: () => ({ columns: stderr.columns || 80, rows: stderr.rows || 24 }),
    ...(/^\d{1,3}$/.test(lines) ? { logLines: Number(lines) } : {}),
  };
}
