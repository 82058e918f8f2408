import { endingText } from "./ending.js";
import type { ProgressEvent } from "./event.js";
import { composeFrame, type WindowSize } from "./frame.js";
import type { Renderer, RendererOptions, Summary, TextOutput } from "./renderer.js";
import { createScreen, type Screen } from "./screen.js";
import { createTrace, type Trace } from "./trace.js";

export interface TtyOptions extends RendererOptions {
  /** The window as it is now; asked before every frame. */
  readonly window: () => WindowSize;
  /** Lines of output shown of a running step. Default: 6. */
  readonly logLines?: number;
}

/** A live view for people: a line per step, the last output of those that run, drawn again as things happen. */
export function createTtyRenderer(out: TextOutput, options: TtyOptions): Renderer {
  return new TtyRenderer(out, options);
}

/** Milliseconds between two frames. */
const FRAME_MS = 100;
const DEFAULT_LOG_LINES = 6;

class TtyRenderer implements Renderer {
  readonly #out: TextOutput;
  readonly #options: TtyOptions;
  readonly #trace: Trace = createTrace();
  readonly #screen: Screen;
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
    if (this.#trace.startedAt !== undefined && !this.#cancelFrame) this.#drawAgain();
  }

  finish(summary: Summary): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#cancelFrame?.();
    if (this.#trace.startedAt !== undefined)
      this.#draw(summary.kind === "built" || summary.kind === "silent" ? "finished" : "failed");
    const ending = endingText(this.#trace, summary, this.#options);
    if (ending !== "") this.#out.write(ending);
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
