import type { Clock, Digest } from "../base/index.js";
import type { Diagnostic } from "../frontend/index.js";
import type { ProgressEvent, ProgressSink, VertexInfo, Warning } from "../progress/index.js";
import { definitionVertex } from "./bridge.js";
import type { BuildWarning, StepMiss, StepResult } from "./result.js";

/** What one build tells of itself: events to whoever listens, and from them the times and warnings of the result. */
export class BuildReport implements ProgressSink {
  readonly warnings: BuildWarning[] = [];
  /** Why steps ran that an earlier build had, in the order in which they began. */
  readonly misses: StepMiss[] = [];
  readonly #names = new Map<Digest, string>();
  readonly #clock: Clock;
  readonly #listener: ProgressSink["emit"] | undefined;
  readonly #times = new Map<Digest, { readonly startedAt: number; durationMs: number }>();
  readonly #cached = new Set<Digest>();
  readonly #contexts = new Map<string, VertexInfo>();
  readonly #read = new Set<Digest>();

  constructor(clock: Clock, listener: ProgressSink["emit"] | undefined) {
    this.#clock = clock;
    this.#listener = listener;
  }

  emit(event: ProgressEvent): void {
    if (event.type === "vertex-cached") {
      if (this.#cached.has(event.vertex.digest)) return;
      this.#cached.add(event.vertex.digest);
    }
    if (event.type === "vertex-started") this.#names.set(event.vertex.digest, event.vertex.name);
    if (event.type === "vertex-missed")
      this.misses.push({ step: this.#names.get(event.vertex) ?? "", vertex: event.vertex, ...event.miss });
    if (event.type === "vertex-started") this.#times.set(event.vertex.digest, { startedAt: event.at, durationMs: 0 });
    if (event.type === "vertex-completed") {
      const time = this.#times.get(event.vertex);
      if (time) time.durationMs = event.at - time.startedAt;
    }
    this.#listener?.(event);
  }

  /** The steps with their times. */
  steps(steps: readonly { readonly vertex: VertexInfo; readonly cached: boolean }[]): readonly StepResult[] {
    return steps.map(({ vertex, cached }) => {
      return { name: vertex.name, cached, durationMs: this.#times.get(vertex.digest)?.durationMs ?? 0 };
    });
  }

  /** A finding of the build checks about the Dockerfile that TEXT is. */
  warn({ rule, message, description, url, location, culprit, suggestion }: Diagnostic, text: string): void {
    const warning: Warning = {
      message,
      ...(rule === undefined ? {} : { rule }),
      ...(description === undefined ? {} : { description }),
      ...(url === undefined ? {} : { url }),
      ...(location ? { file: location.file, startLine: location.startLine, endLine: location.endLine, text } : {}),
      ...(culprit === undefined ? {} : { culprit }),
      ...(suggestion === undefined ? {} : { suggestion }),
    };
    this.warnings.push(warning);
    this.emit({ type: "warning", vertex: definitionVertex().digest, warning });
  }

  /** A local source is read in place: its step begins with the first look. False if it has begun before. */
  contextOpened(scanId: string, vertex: VertexInfo): boolean {
    if (this.#contexts.has(scanId)) return false;
    this.#contexts.set(scanId, vertex);
    this.emit({ type: "vertex-started", vertex, at: this.#clock.now() });
    return true;
  }

  /** So many BYTES of a local source count; undefined: it could not be read. */
  contextRead(scanId: string, bytes: number | undefined): void {
    const vertex = this.#contexts.get(scanId);
    if (!vertex || this.#read.has(vertex.digest)) return;
    this.#read.add(vertex.digest);
    const at = this.#clock.now();
    if (bytes !== undefined) {
      const count = { current: bytes, unit: "bytes", startedAt: at, done: true } as const;
      this.emit({ type: "status", vertex: vertex.digest, id: "reading context", at, ...count });
    }
    const outcome = bytes === undefined ? ({ kind: "canceled" } as const) : ({ kind: "done" } as const);
    this.emit({ type: "vertex-completed", vertex: vertex.digest, at, outcome });
  }
}
