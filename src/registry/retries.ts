import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, canceled, EngineError, errorCode, messageOf } from "../base/index.js";
import { TransientError } from "./errors.js";

/** Pauses before the second, third … try. Milliseconds. */
export const RETRY_DELAYS_MS: readonly number[] = [1000, 2000, 4000, 8000];

/**
 * What ATTEMPT gives once it fails with no TransientError; it is tried again after each of DELAYS, or when the server said. Who can't wait so
 * long, and says so with a reason that is no cancellation, hears how the last try failed.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  delaysMs: readonly number[],
  options: AbortOptions = {},
): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const pauseMs = delaysMs[tries];
      if (!(error instanceof TransientError) || pauseMs === undefined) throw error;
      await pause(error.retryAfterMs ?? pauseMs, options).catch((stopped) => {
        const code = errorCode(stopped);
        if (code === "canceled") throw stopped;
        throw new EngineError(code, `${messageOf(stopped)}; the last try: ${messageOf(error)}`, { cause: error });
      });
    }
  }
}

/** Waits; `canceled` on an abort. */
export async function pause(milliseconds: number, { signal }: AbortOptions = {}): Promise<void> {
  await delay(milliseconds, undefined, signal ? { signal } : {}).catch(() => undefined);
  if (signal?.aborted) throw canceled(signal);
}
