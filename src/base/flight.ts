import type { AbortOptions } from "./errors.js";
import { heardByMany } from "./signals.js";

/** How a value is handed to several: `share` makes each caller's own, `release` is called when all have theirs. */
export interface Sharing<V> {
  share(value: V): V;
  release(value: V): void;
}

interface Waiter<V> {
  readonly resolve: (value: V) => void;
  readonly reject: (error: unknown) => void;
  readonly left: () => boolean;
}

interface Call<V> {
  readonly controller: AbortController;
  readonly waiters: Set<Waiter<V>>;
}

/**
 * Shares work between those who ask for the same key at the same time. The work is aborted when its last waiter has left; that last
 * one settles only when the work has, so that nothing is left running behind its back. Failures are not kept.
 */
export class Flight<K, V> {
  readonly #calls = new Map<K, Call<V>>();
  readonly #sharing: Sharing<V> | undefined;

  constructor(sharing?: Sharing<V>) {
    this.#sharing = sharing;
  }

  /** The result of WORK, or of the same work that is under way already. */
  do(key: K, work: (signal: AbortSignal) => Promise<V>, { signal }: AbortOptions = {}): Promise<V> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const running = this.#calls.get(key);
    const call = running && !running.controller.signal.aborted ? running : this.#start(key, work);
    return new Promise((resolve, reject) => {
      const settled = () => signal?.removeEventListener("abort", leave);
      const waiter: Waiter<V> = {
        resolve(value) {
          settled();
          resolve(value);
        },
        reject(error) {
          settled();
          reject(signal?.aborted ? signal.reason : error);
        },
        left: () => signal?.aborted === true,
      };
      const leave = () => {
        if ([...call.waiters].every((each) => each.left())) call.controller.abort(signal?.reason);
        else {
          call.waiters.delete(waiter);
          waiter.reject(signal?.reason);
        }
      };
      call.waiters.add(waiter);
      if (signal) heardByMany(signal).addEventListener("abort", leave, { once: true });
    });
  }

  #start(key: K, work: (signal: AbortSignal) => Promise<V>): Call<V> {
    const call: Call<V> = { controller: new AbortController(), waiters: new Set() };
    this.#calls.set(key, call);
    const forget = () => {
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    };
    work(heardByMany(call.controller.signal)).then(
      (value) => {
        forget();
        const sharing = this.#sharing;
        for (const waiter of call.waiters) {
          if (waiter.left()) waiter.reject(undefined);
          else waiter.resolve(sharing ? sharing.share(value) : value);
        }
        sharing?.release(value);
      },
      (error) => {
        forget();
        for (const waiter of call.waiters) waiter.reject(error);
      },
    );
    return call;
  }
}
