import PQueue from "p-queue";
import { type AbortOptions, canceled } from "./errors.js";

/** Bounds how many pieces of work run at once; those waiting run in the order they came. */
export interface Limiter {
  run<T>(work: () => Promise<T>, options?: AbortOptions): Promise<T>;
}

/** A limiter of at most CONCURRENCY at once; Infinity bounds nothing. */
export function createLimiter(concurrency: number): Limiter {
  const queue = new PQueue({ concurrency });
  return {
    run: (work, { signal } = {}) =>
      queue.add(() => {
        if (signal?.aborted) throw canceled(signal);
        return work();
      }),
  };
}
