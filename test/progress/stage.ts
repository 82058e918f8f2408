import { digestOf } from "../../src/base/index.js";
import type { Outcome, ProgressEvent, RendererClock, VertexInfo } from "../../src/progress/index.js";

/** A clock that stands still until it is told to go on. */
export class ManualClock implements RendererClock {
  #now = Date.parse("2024-01-02T03:04:05.000Z");
  readonly #calls = new Map<() => void, number>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const call = () => callback();
    this.#calls.set(call, this.#now + delayMs);
    return () => this.#calls.delete(call);
  }

  /** Lets MS pass and calls what is due, in order. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#calls].filter(([, at]) => at <= end).sort((a, b) => a[1] - b[1])[0];
      if (!next) break;
      this.#calls.delete(next[0]);
      this.#now = next[1];
      next[0]();
    }
    this.#now = end;
  }

  get waiting(): number {
    return this.#calls.size;
  }
}

/** Keeps what is written. */
export class Paper {
  text = "";
  readonly writes: string[] = [];

  write(text: string): void {
    this.text += text;
    this.writes.push(text);
  }

  /** What was written since the last call. */
  take(): string {
    const { text } = this;
    this.text = "";
    return text;
  }
}

/** Makes events of steps that are known by name, at the clock's time. */
export function scriptOf(emit: (event: ProgressEvent) => void, clock: ManualClock) {
  const info = (name: string): VertexInfo => ({ digest: digestOf(name), name, inputs: [] });
  return {
    start: (name: string) => emit({ type: "vertex-started", vertex: info(name), at: clock.now() }),
    cached: (name: string) => emit({ type: "vertex-cached", vertex: info(name), at: clock.now() }),
    end: (name: string, outcome: Outcome = { kind: "done" }) =>
      emit({ type: "vertex-completed", vertex: digestOf(name), at: clock.now(), outcome }),
    fail: (name: string, message: string) =>
      emit({ type: "vertex-completed", vertex: digestOf(name), at: clock.now(), outcome: { kind: "error", message } }),
    log: (name: string, text: string | Uint8Array, fd: 1 | 2 = 1) =>
      emit({ type: "log", vertex: digestOf(name), at: clock.now(), fd, chunk: Buffer.from(text) }),
    transfer: (name: string, id: string, current: number, total: number | undefined, startedAt = clock.now()) =>
      emit({
        type: "status",
        vertex: digestOf(name),
        id,
        at: clock.now(),
        current,
        ...(total === undefined ? {} : { total }),
        unit: "bytes",
        startedAt,
        done: total !== undefined && current === total,
      }),
    note: (name: string, id: string, done: boolean) =>
      emit({
        type: "status",
        vertex: digestOf(name),
        id,
        at: clock.now(),
        current: 0,
        unit: "none",
        startedAt: clock.now(),
        done,
      }),
  };
}
