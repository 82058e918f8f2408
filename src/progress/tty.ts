import { endingText } from "./ending.js";
import type { ProgressEvent } from "./event.js";
import { composeFrame, type WindowSize } from "./frame.js";
import type { PausableRenderer, RendererOptions, Summary, TextOutput } from "./renderer.js";
import { createScreen, type Screen } from "./screen.js";
import { createTrace, type Trace } from "./trace.js";

export interface TtyOptions extends RendererOptions {
  /** The window as it is now; asked before every frame. */
  readonly window: () => WindowSize;
  /** Lines of output shown of a running step. Default: 6. */
  readonly logLines?: number;
}

/** A live view for people: a line per step, the last output of those that run, drawn again as things happen. */
export function createTtyRenderer(out: TextOutput, options: TtyOptions): PausableRenderer {
  return new TtyRenderer(out, options);
}

/** Milliseconds between two frames. */
const FRAME_MS = 100;
const DEFAULT_LOG_LINES = 6;

class TtyRenderer implements PausableRenderer {
  readonly #out: TextOutput;
  readonly #options: TtyOptions;
  readonly #trace: Trace = createTrace();
  #screen: Screen;
  #paused = false;
  #finished = false;
  #cancelFrame: (() => void) | undefined;

  constructor(out: TextOutput, options: TtyOptions) {
    this.#out = out;
    this.#options = options;
    this.#screen = createScreen(out);
  }

  emit(event: ProgressEvent): void {
    if (this.#finished) return;
    this.#trace.apply(event);
    if (this.#trace.startedAt !== undefined && !this.#cancelFrame && !this.#paused) this.#drawAgain();
  }

  /** What is drawn stays, and the next frame comes below whatever others have written. */
  pause(): () => void {
    if (this.#finished || this.#paused) return () => {};
    this.#stopFrames();
    if (this.#trace.startedAt !== undefined) this.#draw("no");
    this.#paused = true;
    return () => {
      if (!this.#paused) return;
      this.#paused = false;
      this.#screen = createScreen(this.#out);
      if (this.#trace.startedAt !== undefined && !this.#finished) this.#drawAgain();
    };
  }

  finish(summary: Summary): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#stopFrames();
    if (this.#trace.startedAt !== undefined)
      this.#draw(summary.kind === "built" || summary.kind === "silent" ? "finished" : "failed");
    const ending = endingText(this.#trace, summary, this.#options);
    if (ending !== "") this.#out.write(ending);
  }

  #stopFrames(): void {
    this.#cancelFrame?.();
    this.#cancelFrame = undefined;
  }

  /** Draws now and every FRAME_MS until the build ends: the time in the header goes on while nothing else happens. */
  #drawAgain(): void {
    this.#draw("no");
    this.#cancelFrame = this.#options.clock.after(FRAME_MS, () => this.#drawAgain());
  }

  #draw(ended: "no" | "finished" | "failed"): void {
    const { clock, window, logLines = DEFAULT_LOG_LINES, color = false } = this.#options;
    const now = clock.now();
    const { steps, startedAt = now } = this.#trace;
    const size = window();
    this.#screen.draw(composeFrame({ steps, startedAt, now, logLines, color, ended }, size), size);
  }
}
