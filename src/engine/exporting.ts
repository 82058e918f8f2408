import { type Clock, digestOf } from "../base/index.js";
import type { ExportOptions } from "../exporters/index.js";
import type { ProgressSink, VertexInfo } from "../progress/index.js";
import { shownAs } from "./bridge.js";

/** What an export is told to, and stopped by. */
export interface ExportScope {
  readonly progress: ProgressSink;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Shows an export as a step, its parts as statuses. */
export async function exporting<T>(
  name: string,
  { progress, signal, clock }: ExportScope,
  work: (options: ExportOptions) => Promise<T>,
): Promise<T> {
  const vertex: VertexInfo = { digest: digestOf(name), name, inputs: [] };
  const started = new Map<string, number>();
  return shownAs(vertex, { progress, clock }, () =>
    work({
      signal,
      onProgress({ id, current = 0, total, done }) {
        const at = clock.now();
        const startedAt = started.get(id) ?? at;
        started.set(id, startedAt);
        const unit = current > 0 || total !== undefined ? ("bytes" as const) : ("none" as const);
        progress.emit({
          type: "status",
          vertex: vertex.digest,
          id,
          at,
          current,
          ...(total === undefined ? {} : { total }),
          unit,
          startedAt,
          done,
        });
      },
    }),
  );
}
