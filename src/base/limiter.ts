import { type AbortOptions, canceled } from "./errors.js";
import { lazy } from "./lazy.js";

/** Bounds how many pieces of work run at once; those waiting run in the order they came. */
export interface Limiter {
  run<T>(work: () => Promise<T>, options?: AbortOptions): Promise<T>;
}

/** A limiter of at most CONCURRENCY at once; Infinity bounds nothing. */
export function createLimiter(concurrency: number): Limiter {
  const queue = lazy(async () => new (await import("p-queue")).default({ concurrency }));
  return {
    run: async (work, { signal } = {}) =>
      (await queue()).add(() => {
        if (signal?.aborted) throw canceled(signal);
        return work();
      }),
  };
}
