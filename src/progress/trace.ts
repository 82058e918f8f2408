import type { Digest } from "../base/index.js";
import type { Outcome, ProgressEvent, VertexInfo, Warning } from "./event.js";
import { formatStamp } from "./format.js";
import { createLogLines, type LogLine, type LogLines } from "./log-lines.js";
import { type ShownMiss, shownMiss, type ToldCauses } from "./miss-text.js";

/** What has happened so far, by step. */
export interface Trace {
  /** In the order they began. */
  readonly steps: readonly Step[];
  readonly warnings: readonly Warning[];
  /** When the first step began. */
  readonly startedAt: number | undefined;
  /** Takes EVENT in: the step it is about and the lines of output it completed. Undefined if it concerns no known step. */
  apply(event: ProgressEvent): { readonly step: Step; readonly lines: readonly StampedLine[] } | undefined;
}

/** One step of the build, as its events have it. */
export interface Step {
  /** From 1, as shown in `#1`. */
  readonly index: number;
  readonly info: VertexInfo;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
  readonly state: { readonly kind: "running" | "cached" } | Outcome;
  readonly statuses: ReadonlyMap<string, Extract<ProgressEvent, { type: "status" }>>;
  /** Why it was not in the cache, if that is known. */
  readonly miss: ShownMiss | undefined;
  /** The last lines of output, overwritten ones left out. */
  readonly tail: readonly StampedLine[];
  readonly hasPartial: boolean;
  /** The unfinished lines. */
  partial(): readonly string[];
  /** Takes the unfinished lines as if they had ended AT. */
  drain(at: number): readonly StampedLine[];
}

/** A line of output and the seconds into the step, as text, at which it came. */
export interface StampedLine extends LogLine {
  readonly stamp: string;
}

/** Lines of output kept per step to show when it fails. */
const TAIL_LINES = 30;

export function createTrace(): Trace {
  return new EventTrace();
}

class EventTrace implements Trace {
  readonly steps: TracedStep[] = [];
  readonly warnings: Warning[] = [];
  readonly #byDigest = new Map<Digest, TracedStep>();
  readonly #told: ToldCauses = new Map();
  startedAt: number | undefined;

  apply(event: ProgressEvent): { step: Step; lines: readonly StampedLine[] } | undefined {
    if (event.type === "warning") {
      this.warnings.push(event.warning);
      return undefined;
    }
    const step = this.#stepOf(event);
    if (step && event.type === "vertex-missed")
      step.miss = shownMiss(event.miss, { number: step.index, vertex: event.vertex }, this.#told);
    return step && { step, lines: step.apply(event) };
  }

  #stepOf(event: Exclude<ProgressEvent, { type: "warning" }>): TracedStep | undefined {
    if (typeof event.vertex === "string") return this.#byDigest.get(event.vertex);
    let step = this.#byDigest.get(event.vertex.digest);
    if (!step) {
      step = new TracedStep(this.steps.length + 1, event.vertex, event.at);
      this.steps.push(step);
      this.#byDigest.set(event.vertex.digest, step);
      this.startedAt ??= event.at;
    }
    return step;
  }
}

class TracedStep implements Step {
  endedAt: number | undefined;
  state: Step["state"] = { kind: "running" };
  readonly statuses = new Map<string, Extract<ProgressEvent, { type: "status" }>>();
  miss: ShownMiss | undefined;
  readonly tail: StampedLine[] = [];
  readonly #streams: Record<1 | 2, LogLines> = { 1: createLogLines(), 2: createLogLines() };

  constructor(
    readonly index: number,
    readonly info: VertexInfo,
    public startedAt: number,
  ) {}

  apply(event: Exclude<ProgressEvent, { type: "warning" }>): readonly StampedLine[] {
    switch (event.type) {
      case "vertex-started":
        // A step may begin again, as a lazy pull does once something mounts the image, or one that had to wait first.
        if (this.state.kind !== "running" || [...this.statuses.values()].every(({ done }) => done))
          this.startedAt = event.at;
        this.state = { kind: "running" };
        this.endedAt = undefined;
        return [];
      case "vertex-missed":
        return [];
      case "vertex-cached":
        this.state = { kind: "cached" };
        this.endedAt = event.at;
        return [];
      case "vertex-completed":
        this.endedAt = event.at;
        this.state = event.outcome;
        return this.drain(event.at);
      case "status":
        this.statuses.set(event.id, event);
        return [];
      case "log":
        return this.#stamped(this.#streams[event.fd].push(event.chunk), event.at);
    }
  }

  get hasPartial(): boolean {
    return this.#streams[1].hasPartial || this.#streams[2].hasPartial;
  }

  partial(): readonly string[] {
    return [this.#streams[1].partial(), this.#streams[2].partial()].filter((text) => text !== "");
  }

  drain(at: number): readonly StampedLine[] {
    const rests = [this.#streams[1].drain(), this.#streams[2].drain()].filter((line) => line !== undefined);
    return this.#stamped(rests, at);
  }

  #stamped(lines: readonly LogLine[], at: number): readonly StampedLine[] {
    const stamp = formatStamp(at - this.startedAt);
    const stamped = lines.map((line) => ({ ...line, stamp }));
    for (const line of stamped) {
      if (this.tail.at(-1)?.overwritten) this.tail.pop();
      this.tail.push(line);
    }
    if (this.tail.length > TAIL_LINES) this.tail.splice(0, this.tail.length - TAIL_LINES);
    return stamped;
  }
}
