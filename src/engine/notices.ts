import { type Clock, digestOf } from "../base/index.js";
import type { Outcome, ProgressSink } from "../progress/index.js";
import type { EndOfWait } from "../store/index.js";

/** What is odd about this machine: told once, to the build that runs, or to the first that comes. */
export interface Notices {
  say(message: string): void;
  /** As `say`, and shown at once while a build runs, whose warnings are listed at its end. */
  sayNow(message: string): void;
  /** Tells LISTENER what has not been told yet, and what is said from now on until it is disposed of. */
  listen(listener: ProgressSink["emit"] | undefined): Disposable;
  /** Tells, until its end, that the engine waits: SENTENCE says for what. */
  wait(sentence: string): EndOfWait;
}

/** What nobody asked for in particular goes to EMIT, else to the build that runs. */
export function createNotices(emit: ProgressSink["emit"] | undefined, { now }: Clock): Notices {
  const untold: string[] = [];
  const listeners = new Set<ProgressSink["emit"]>();
  let waits = 0;
  const tell = () => {
    const [listener] = listeners;
    if (!listener) return;
    for (const message of untold.splice(0)) listener({ type: "warning", vertex: undefined, warning: { message } });
  };
  const say = (message: string) => {
    untold.push(message);
    tell();
  };
  const wait: Notices["wait"] = (sentence) => {
    const [listener = () => undefined] = emit ? [emit] : listeners;
    const vertex = { digest: digestOf(`wait ${++waits}`), name: sentence, inputs: [] };
    listener({ type: "vertex-started", vertex, at: now() });
    return (failure) => {
      const outcome: Outcome = failure ? { kind: "error", message: failure.message } : { kind: "done" };
      listener({ type: "vertex-completed", vertex: vertex.digest, at: now(), outcome });
    };
  };
  return {
    say,
    sayNow(message) {
      wait(message)();
      say(message);
    },
    listen(listener) {
      if (listener) listeners.add(listener);
      tell();
      return { [Symbol.dispose]: () => listener && listeners.delete(listener) };
    },
    wait,
  };
}
