import type { PausableRenderer, Renderer, TextOutput } from "./renderer.js";

/** So much is held back of what comes while others have the terminal; UTF-16 units. */
const MAX_HELD_LENGTH = 1 << 20;

/** The renderer that CREATE makes for OUT, which only ever adds text: while it is paused its text is held back, the newest of it. */
export function createPausable(out: TextOutput, create: (out: TextOutput) => Renderer): PausableRenderer {
  const held = new HeldOutput(out);
  const renderer = create(held);
  return {
    emit: (event) => renderer.emit(event),
    finish: (summary) => renderer.finish(summary),
    pause() {
      held.hold();
      return () => held.release();
    },
  };
}

class HeldOutput implements TextOutput {
  readonly #out: TextOutput;
  /** Undefined: nothing is held back. */
  #texts: string[] | undefined;
  #length = 0;
  #left = 0;

  constructor(out: TextOutput) {
    this.#out = out;
  }

  write(text: string): void {
    if (!this.#texts) {
      this.#out.write(text);
      return;
    }
    this.#texts.push(text);
    this.#length += text.length;
    while (this.#length > MAX_HELD_LENGTH && this.#texts.length > 1) {
      const oldest = this.#texts.shift()?.length ?? 0;
      this.#length -= oldest;
      this.#left += oldest;
    }
  }

  hold(): void {
    this.#texts ??= [];
  }

  release(): void {
    const texts = this.#texts ?? [];
    this.#texts = undefined;
    if (this.#left > 0) this.#out.write(`[${this.#left} characters of output are left out here]\n`);
    for (const text of texts) this.#out.write(text);
    [this.#length, this.#left] = [0, 0];
  }
}
