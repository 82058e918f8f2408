import { EngineError } from "../base/index.js";
import type { StopSignal, Surroundings } from "./surroundings.js";

/** Signals turned into an AbortSignal, and into the exit code they ask for. */
export interface Stopping extends Disposable {
  readonly signal: AbortSignal;
  /** The exit code of the signal that came, if one did. */
  exitCode(): number | undefined;
}

/** Listens until disposed of. The first signal aborts; the second one ends the process at once. */
export function listenForStop(surroundings: Surroundings): Stopping {
  const controller = new AbortController();
  let code: number | undefined;
  const stop = surroundings.onSignal((signal) => {
    if (code !== undefined) {
      surroundings.exit(EXIT_CODES[signal]);
      return;
    }
    code = EXIT_CODES[signal];
    controller.abort(new EngineError("canceled", `canceled by ${signal}`));
  });
  return { signal: controller.signal, exitCode: () => code, [Symbol.dispose]: stop };
}

/** Does WORK under an AbortSignal; its exit code, or that of the signal that stopped it. */
export async function untilStopped(
  surroundings: Surroundings,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  using stopping = listenForStop(surroundings);
  try {
    const code = await work(stopping.signal);
    return stopping.exitCode() ?? code;
  } catch (error) {
    const code = stopping.exitCode();
    if (code === undefined) throw error;
    return code;
  }
}

/** 128 and the signal's number, as shells have it. */
const EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
