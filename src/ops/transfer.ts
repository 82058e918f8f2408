import { errorCode, messageOf } from "../base/index.js";
import type { OpContext } from "../solver/index.js";
import type { OpEnvironment } from "./environment.js";

export interface Transfer {
  readonly signal: AbortSignal;
  /** Bytes so far, and of how many where that is known. */
  readonly onProgress: (current: number, total: number | undefined) => void;
  /** What a program that does the work has to say. */
  readonly onLog: (chunk: Uint8Array) => void;
}

/** Statuses of one transfer are not closer together. Milliseconds. */
const STATUS_INTERVAL_MS = 100;

/** Does WORK that asks the network, and shows how far it is as the vertex's. */
export async function transfer<T>(
  { clock }: OpEnvironment,
  { signal, progress, vertex }: OpContext,
  work: (transfer: Transfer) => Promise<T>,
): Promise<T> {
  const startedAt = clock.now();
  let last: { readonly current: number; readonly total: number | undefined } | undefined;
  let shownAt = Number.NEGATIVE_INFINITY;
  const show = (done: boolean): void => {
    if (last === undefined) return;
    const { current, total } = last;
    const at = clock.now();
    shownAt = at;
    const size = total === undefined ? {} : { total };
    const status = { type: "status", vertex: vertex.digest, id: "downloading", at, current, ...size } as const;
    progress.emit({ ...status, unit: "bytes", startedAt, done });
  };
  const result = await work({
    signal,
    onProgress(current, total) {
      last = { current, total };
      if (clock.now() - shownAt >= STATUS_INTERVAL_MS) show(false);
    },
    onLog: (chunk) => progress.emit({ type: "log", vertex: vertex.digest, at: clock.now(), fd: 2, chunk }),
  });
  show(true);
  return result;
}

/** As `transfer`, before it is known whether the vertex has to run: it begins here, and ends where WORK fails. */
export async function enquiry<T>(
  environment: OpEnvironment,
  context: OpContext,
  work: (transfer: Transfer) => Promise<T>,
): Promise<T> {
  const { progress, vertex, signal } = context;
  const { clock } = environment;
  progress.emit({ type: "vertex-started", vertex, at: clock.now() });
  try {
    return await transfer(environment, context, work);
  } catch (error) {
    const isEnd = errorCode(error) === "canceled" || signal.aborted;
    const outcome = isEnd ? ({ kind: "canceled" } as const) : ({ kind: "error", message: messageOf(error) } as const);
    progress.emit({ type: "vertex-completed", vertex: vertex.digest, at: clock.now(), outcome });
    throw error;
  }
}
