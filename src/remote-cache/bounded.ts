import { type AbortOptions, EngineError, errorCode } from "../base/index.js";
import type { CacheSource, OpenedCache } from "./place.js";

/** How long a build waits for an answer of a cache, which it can do without. Milliseconds. */
const ANSWER_MS = 15_000;

/** SOURCE, which is given up when it doesn't answer: whatever it is asked ends with `unavailable` after a while. Layers take their time. */
export function bounded(source: CacheSource, limitMs = ANSWER_MS): CacheSource {
  return {
    name: source.name,
    async open(options) {
      const opened = await within(limitMs, options, (asking) => source.open(asking));
      return opened.map((each) => boundedCache(each, limitMs));
    },
  };
}

function boundedCache(opened: OpenedCache, limitMs: number): OpenedCache {
  const { index, has } = opened;
  return {
    ...opened,
    index: {
      mounts: index.mounts,
      find: (key, options) => within(limitMs, options, (asking) => index.find(key, asking)),
    },
    has: has && ((layer, options) => within(limitMs, options, (asking) => has(layer, asking))),
  };
}

async function within<T>(
  limitMs: number,
  { signal }: AbortOptions,
  work: (options: AbortOptions) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new EngineError("unavailable", `no answer within ${limitMs / 1000} s`));
  }, limitMs);
  try {
    return await work({ signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal });
  } catch (error) {
    if (!late.signal.aborted || signal?.aborted) throw error;
    // Who was trying time and again says more.
    throw errorCode(error) === "unavailable" ? error : late.signal.reason;
  } finally {
    clearTimeout(timer);
  }
}
