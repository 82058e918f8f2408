import { type Digest, unreachable } from "../base/index.js";
import { failureText, warningSentence } from "./ending.js";
import type { ProgressEvent, VertexInfo, Warning } from "./event.js";
import { missText } from "./miss-text.js";
import type { Renderer, RendererOptions, Summary, TextOutput } from "./renderer.js";

/** BuildKit's SolveStatus objects, one a line (`client.SolveStatus`): for programs. A failure's words follow as plain text. */
export function createRawjsonRenderer(out: TextOutput, options: RendererOptions): Renderer {
  return new RawjsonRenderer(out, options);
}

class RawjsonRenderer implements Renderer {
  readonly #out: TextOutput;
  readonly #options: RendererOptions;
  readonly #started = new Map<Digest, { readonly info: VertexInfo; readonly at: number }>();
  #finished = false;

  constructor(out: TextOutput, options: RendererOptions) {
    this.#out = out;
    this.#options = options;
  }

  emit(event: ProgressEvent): void {
    if (this.#finished) return;
    const status = this.#statusOf(event);
    if (status) this.#out.write(`${JSON.stringify(status)}\n`);
  }

  finish(summary: Summary): void {
    this.#finished = true;
    if (summary.kind === "failed") this.#out.write(failureText(summary, { ...this.#options, color: false }));
    else if (summary.kind === "canceled") this.#out.write(`ERROR: ${summary.message}\n`);
  }

  #statusOf(event: ProgressEvent): object | undefined {
    switch (event.type) {
      case "vertex-started":
        this.#started.set(event.vertex.digest, { info: event.vertex, at: event.at });
        return { vertexes: [{ ...vertexOf(event.vertex), started: time(event.at) }] };
      case "vertex-cached": {
        const { at } = this.#started.get(event.vertex.digest) ?? event;
        return {
          vertexes: [{ ...vertexOf(event.vertex), started: time(at), completed: time(event.at), cached: true }],
        };
      }
      case "vertex-missed": {
        const { vertex, at, miss } = event;
        return { misses: [{ vertex, timestamp: time(at), text: missText(miss), ...miss }] };
      }
      case "vertex-completed":
        return this.#completed(event);
      case "status":
        return { statuses: [vertexStatus(event)] };
      case "log": {
        const data = Buffer.from(event.chunk.buffer, event.chunk.byteOffset, event.chunk.byteLength).toString("base64");
        return { logs: [{ vertex: event.vertex, stream: event.fd, data, timestamp: time(event.at) }] };
      }
      case "warning":
        return { warnings: [vertexWarning(event.vertex, event.warning)] };
      default:
        return unreachable(event);
    }
  }

  #completed(event: Extract<ProgressEvent, { type: "vertex-completed" }>): object | undefined {
    const known = this.#started.get(event.vertex);
    if (!known) return undefined;
    const { outcome } = event;
    // "context canceled" is how BuildKit's own readers tell a canceled vertex from a failed one.
    const error =
      outcome.kind === "error" ? outcome.message : outcome.kind === "canceled" ? "context canceled" : undefined;
    return { vertexes: [{ ...vertexOf(known.info), started: time(known.at), completed: time(event.at), error }] };
  }
}

function vertexOf({ digest, inputs, name }: VertexInfo): object {
  return { digest, inputs: inputs.length > 0 ? inputs : undefined, name };
}

function vertexStatus(event: Extract<ProgressEvent, { type: "status" }>): object {
  return {
    id: event.id,
    vertex: event.vertex,
    total: event.total,
    current: event.current,
    timestamp: time(event.at),
    started: time(event.startedAt),
    completed: event.done ? time(event.at) : undefined,
  };
}

/** A warning in the form of BuildKit's `client.VertexWarning`. */
export function vertexWarning(vertex: Digest | undefined, warning: Warning): object {
  const { startLine, endLine = startLine, file, text, description, url } = warning;
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    vertex,
    level: 1,
    short: base64(warningSentence(warning)),
    detail: description ? [base64(description)] : undefined,
    url,
    sourceInfo: file
      ? { filename: file, data: text === undefined ? undefined : base64(text), language: "Dockerfile" }
      : undefined,
    range: startLine && endLine ? lineRanges(startLine, endLine) : undefined,
  };
}

/** One for each line, as BuildKit has it. */
function lineRanges(startLine: number, endLine: number): readonly object[] {
  return Array.from({ length: Math.max(1, endLine - startLine + 1) }, (_, index) => {
    const line = startLine + index;
    return { start: { line }, end: { line } };
  });
}

/** RFC 3339. */
function time(at: number): string {
  return new Date(at).toISOString();
}
