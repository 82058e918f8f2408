import { endingText } from "./ending.js";
import type { ProgressEvent } from "./event.js";
import { formatCount, formatDuration } from "./format.js";
import type { Renderer, RendererClock, RendererOptions, Summary, TextOutput } from "./renderer.js";
import { printable } from "./text-width.js";
import { createTrace, type StampedLine, type Step, type Trace } from "./trace.js";

/**
 * A log for files and for programs that read it: `#N name`, `#N 0.123 line`, `#N not cached: …`, `#N DONE 1.2s`, `#N CACHED`,
 * `#N ERROR: …`.
 * One step has the word at a time; another one gets it when that one ends or falls silent, when its own output has waited
 * for long or piled up, and in any case when it ends itself.
 */
export function createPlainRenderer(out: TextOutput, options: RendererOptions): Renderer {
  return new PlainRenderer(out, options);
}

/** Output of a step waits at most this many milliseconds for its turn; an unfinished line for the rest of it. */
const MAX_WAIT_MS = 3000;
/** A step that has been silent for this many milliseconds loses the word to any other. */
const SILENCE_MS = 500;
/** UTF-16 units that may pile up for a step that waits. */
const MAX_WAITING_LENGTH = 256 * 1024;
/** A status is shown again after this many milliseconds, or after this share of its total. */
const STATUS_INTERVAL_MS = 5000;
const STATUS_SHARE = 0.05;

/** What of a step has not been written: its name, lines, or (with neither) an unfinished line. */
interface Waiting {
  readonly since: number;
  readonly unannounced: boolean;
  readonly lines: string[];
  length: number;
}

class PlainRenderer implements Renderer {
  readonly #out: TextOutput;
  readonly #clock: RendererClock;
  readonly #options: RendererOptions;
  readonly #trace: Trace = createTrace();
  readonly #waiting = new Map<Step, Waiting>();
  readonly #shownStatuses = new Map<string, { readonly current: number; readonly at: number }>();
  #current: Step | undefined;
  #currentSince = 0;
  #empty = true;
  #finished = false;
  #cancelWake: (() => void) | undefined;

  constructor(out: TextOutput, options: RendererOptions) {
    this.#out = out;
    this.#clock = options.clock;
    this.#options = options;
  }

  emit(event: ProgressEvent): void {
    if (this.#finished) return;
    const change = this.#trace.apply(event);
    if (!change) return;
    const { step } = change;
    const waiting = this.#wait(step, event.type === "vertex-started");
    for (const line of [...change.lines.map(({ stamp, text }) => `${stamp} ${text}`), ...this.#news(step, event)]) {
      waiting.lines.push(line);
      waiting.length += line.length;
    }
    if (step.endedAt !== undefined) this.#end(step);
    else if (this.#mayInterrupt(step, waiting)) this.#show(step);
    else if (!hasNews(waiting) && !step.hasPartial) this.#waiting.delete(step);
    this.#wakeLater();
  }

  finish(summary: Summary): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#cancelWake?.();
    for (const step of [...this.#waiting.keys()]) this.#showAll(step);
    this.#out.write(endingText(this.#trace, summary, this.#options));
  }

  #wait(step: Step, unannounced = false): Waiting {
    let waiting = this.#waiting.get(step);
    if (!waiting) {
      waiting = { since: this.#clock.now(), unannounced, lines: [], length: 0 };
      this.#waiting.set(step, waiting);
    }
    return waiting;
  }

  /** The lines an event makes of itself. */
  #news(step: Step, event: ProgressEvent): readonly string[] {
    switch (event.type) {
      case "vertex-cached":
        return ["CACHED"];
      case "vertex-missed":
        return step.miss === undefined ? [] : [`not cached: ${printable(step.miss.text())}`];
      case "vertex-completed":
        return [endOf(step)];
      case "status":
        return this.#isNews(step, event) ? [statusLine(event)] : [];
      default:
        return [];
    }
  }

  #isNews(step: Step, status: Extract<ProgressEvent, { type: "status" }>): boolean {
    const key = `${step.index} ${status.id}`;
    const shown = this.#shownStatuses.get(key);
    const share = status.total && shown ? (status.current - shown.current) / status.total : 0;
    const news = !shown || status.done || share >= STATUS_SHARE || status.at - shown.at >= STATUS_INTERVAL_MS;
    if (news) this.#shownStatuses.set(key, { current: status.current, at: status.at });
    return news;
  }

  #mayInterrupt(step: Step, waiting: Waiting): boolean {
    if (this.#current === undefined || this.#current === step) return true;
    if (!hasNews(waiting)) return false;
    return this.#clock.now() - this.#currentSince >= SILENCE_MS || waiting.length > MAX_WAITING_LENGTH;
  }

  /** Writes what a step that ended has left, and gives the word to the one that waited longest. */
  #end(step: Step): void {
    this.#show(step);
    this.#current = undefined;
    const next = [...this.#waiting].find(([other, waiting]) => other !== step && hasNews(waiting));
    if (next) this.#show(next[0]);
  }

  #showAll(step: Step): void {
    this.#wait(step).lines.push(
      ...step.drain(this.#clock.now()).map(({ stamp, text }: StampedLine) => `${stamp} ${text}`),
    );
    this.#show(step);
  }

  /** Gives STEP the word: its header unless it has it already, then all that waits. */
  #show(step: Step): void {
    const { lines } = this.#wait(step);
    if (this.#current === step && lines.length === 0 && step.hasPartial) return; // it waits on
    this.#waiting.delete(step);
    let text = "";
    if (this.#current !== step) {
      if (this.#current !== undefined) text += `#${this.#current.index} ...\n`;
      text += `${this.#empty ? "" : "\n"}#${step.index} ${printable(step.info.name)}\n`;
      this.#empty = false;
    }
    for (const line of lines) text += `#${step.index} ${line}\n`;
    this.#current = step;
    if (text !== "") {
      this.#currentSince = this.#clock.now();
      this.#out.write(text);
    }
    if (step.endedAt === undefined && step.hasPartial) this.#wait(step);
  }

  /** Output must not stay unseen because nothing else happens: a prompt without a newline, the last words of a step that hangs. */
  #wakeLater(): void {
    if (this.#cancelWake || this.#waiting.size === 0) return;
    this.#cancelWake = this.#clock.after(MAX_WAIT_MS, () => {
      this.#cancelWake = undefined;
      const now = this.#clock.now();
      for (const [step, { since }] of [...this.#waiting]) if (now - since >= MAX_WAIT_MS) this.#showAll(step);
      this.#wakeLater();
    });
  }
}

function hasNews({ unannounced, lines }: Waiting): boolean {
  return unannounced || lines.length > 0;
}

function endOf({ state, startedAt, endedAt = startedAt }: Step): string {
  switch (state.kind) {
    case "error":
      return `ERROR: ${state.message}`;
    case "canceled":
      return "CANCELED";
    case "cached":
      return "CACHED";
    default:
      return `DONE ${formatDuration(endedAt - startedAt)}`;
  }
}

function statusLine(status: Extract<ProgressEvent, { type: "status" }>): string {
  const { id, at, startedAt, done } = status;
  const time = at - startedAt > 10 ? formatDuration(at - startedAt) : "";
  return [printable(id), formatCount(status), time, done ? "done" : ""].filter((part) => part !== "").join(" ");
}
