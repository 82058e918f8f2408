import { type AbortOptions, canceled } from "./errors.js";
import { heardByMany } from "./signals.js";

/**
 * Does WORK for all ITEMS at once; results stand in the items' order. The first failure aborts the others and is thrown when all have
 * ended; an abort of the caller's is thrown as `canceled`.
 */
export async function forAll<T, R>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<R>,
  { signal }: AbortOptions,
): Promise<readonly R[]> {
  const failing = new AbortController();
  const both = heardByMany(signal ? AbortSignal.any([signal, failing.signal]) : failing.signal);
  const running = items.map(async (item) => {
    try {
      return await work(item, both);
    } catch (error) {
      failing.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(running);
  if (signal?.aborted) throw canceled(signal);
  if (failing.signal.aborted) throw failing.signal.reason;
  return Promise.all(running);
}
