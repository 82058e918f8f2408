import { setImmediate } from "node:timers/promises";
import { type AbortOptions, canceled } from "../../base/index.js";

/** Keeps long work from holding up everything else: asked before each step, it says now and then that it is time to rest. */
export interface Pace {
  isDue(): boolean;
  /** Lets everything else have its turn. Throws `canceled` when the signal is aborted. */
  rest(): Promise<void>;
}

/** Steps between two rests: a few milliseconds of work. */
const STEPS_BETWEEN_RESTS = 500;

export function createPace({ signal }: AbortOptions): Pace {
  let steps = 0;
  return {
    isDue: () => ++steps % STEPS_BETWEEN_RESTS === 0,
    async rest() {
      await setImmediate();
      if (signal?.aborted) throw canceled(signal);
    },
  };
}
