import type { ProgressSink } from "../progress/index.js";

/** What is odd about this machine: told once, to the build that runs, or to the first that comes. */
export interface Notices {
  say(message: string): void;
  /** Tells EMIT what has not been told yet, and what is said from now on until it is disposed of. */
  listen(emit: ProgressSink["emit"] | undefined): Disposable;
}

export function createNotices(): Notices {
  const untold: string[] = [];
  const listeners = new Set<ProgressSink["emit"]>();
  const tell = () => {
    const [listener] = listeners;
    if (!listener) return;
    for (const message of untold.splice(0)) listener({ type: "warning", vertex: undefined, warning: { message } });
  };
  return {
    say(message) {
      untold.push(message);
      tell();
    },
    listen(emit) {
      if (emit) listeners.add(emit);
      tell();
      return { [Symbol.dispose]: () => emit && listeners.delete(emit) };
    },
  };
}
