/** Those who wait for what an engine does, so that it knows when they have all left and the end is all that is left to do. */
export interface Callers {
  /** Until it is disposed of somebody waits, who leaves when SIGNAL aborts. */
  wait(signal: AbortSignal): Disposable;
  haveLeft(): boolean;
}

export function createCallers(): Callers {
  const waiting = new Set<{ readonly signal: AbortSignal }>();
  return {
    wait(signal) {
      const caller = { signal };
      waiting.add(caller);
      return { [Symbol.dispose]: () => void waiting.delete(caller) };
    },
    haveLeft: () => waiting.size > 0 && [...waiting].every(({ signal }) => signal.aborted),
  };
}
