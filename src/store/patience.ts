import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, canceled, createLimiter, EngineError } from "../base/index.js";
import { lockHolder } from "./lock-holder.js";
import { isBusy, translated } from "./sqlite.js";

/** What somebody who waits for other processes wants to know, and has to say. */
export interface WaitingOptions {
  /** Told, when others have held the database for a second, who does (`process 12 (ashlar build)`). What it gives is called when the wait ends. */
  readonly onWait?: ((holder: string) => EndOfWait) | undefined;
  /** Whether all that is left to do is to end: from then on, others are waited for a second in all. */
  readonly isHurried?: (() => boolean) | undefined;
  /** How long others are waited for where a wait says nothing else; default: a minute. Milliseconds. */
  readonly patienceMs?: number | undefined;
}

/** Told how a wait has ended; with a FAILURE: that it was given up. */
export type EndOfWait = (failure?: EngineError) => void;

export interface PatienceOptions extends AbortOptions {
  /** How long other processes are waited for, in the place of the usual time. Milliseconds. */
  readonly patienceMs?: number | undefined;
}

/** Another process has the database, and it was waited for long enough. */
export class LockedDatabase extends EngineError {
  constructor(file: string) {
    super("unavailable", `the metadata database ${file} is locked by ${lockHolder(file)}`);
  }
}

/**
 * How long another process is waited for until it is given up on; how long once the caller is in a hurry, or by who comes right after
 * somebody gave up. Milliseconds.
 */
const PATIENCE_MS = 60_000;
const HURRIED_PATIENCE_MS = 1000;
/** A shorter wait is not worth a word. Milliseconds. */
const UNTOLD_MS = 1000;

interface Wait {
  readonly since: number;
  readonly patienceMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Bounds of the pause between tries. Milliseconds. */
const BACK_OFF_MS = { min: 5, max: 200 } as const;

/** Waits for other processes that hold the database FILE. Whoever waits stands in one line: each try blocks the thread for a moment. */
export class Patience {
  readonly #file: string;
  readonly #options: WaitingOptions;
  readonly #patienceMs: number;
  readonly #line = createLimiter(1);
  #waiting = 0;
  #told: EndOfWait | undefined;
  #hurriedAt: number | undefined;
  /** When somebody gave up, who has not had the database since. */
  #gaveUpAt = Number.NEGATIVE_INFINITY;

  constructor(file: string, options: WaitingOptions) {
    this.#file = file;
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** The result of ATTEMPT once it no longer finds the database busy; `unavailable` when it does for too long. */
  async until<T>(attempt: () => T, { signal, patienceMs = this.#patienceMs }: PatienceOptions): Promise<T> {
    if (signal?.aborted) throw canceled(signal);
    const since = performance.now();
    const wait = { since, patienceMs, signal };
    if (this.#waiting === 0) {
      const first = this.#tried(attempt);
      if (first) return first.result;
    }
    this.#waiting++;
    try {
      return await this.#line.run(() => this.#retry(attempt, wait), signal ? { signal } : {});
    } finally {
      if (--this.#waiting === 0) this.#tellEnd();
    }
  }

  async #retry<T>(attempt: () => T, wait: Wait): Promise<T> {
    const { since, signal } = wait;
    for (let pause: number = BACK_OFF_MS.min; ; pause = Math.min(2 * pause, BACK_OFF_MS.max)) {
      if (signal?.aborted) throw canceled(signal);
      const tried = this.#tried(attempt);
      if (tried) return tried.result;
      if (this.#isOver(wait)) throw this.#giveUp(wait);
      this.#tell(since);
      await delay(pause, undefined, signal ? { signal } : {}).catch(() => undefined);
    }
  }

  /** Undefined where another process was in the way. */
  #tried<T>(attempt: () => T): { readonly result: T } | undefined {
    try {
      const result = attempt();
      this.#gaveUpAt = Number.NEGATIVE_INFINITY;
      return { result };
    } catch (error) {
      if (isBusy(error)) return undefined;
      throw translated(error, this.#file);
    }
  }

  #isOver({ since, patienceMs }: Wait): boolean {
    const now = performance.now();
    if (!this.#options.isHurried?.()) {
      this.#hurriedAt = undefined;
      return now - since > (this.#isGivenUp(since) ? Math.min(patienceMs, HURRIED_PATIENCE_MS) : patienceMs);
    }
    this.#hurriedAt ??= now;
    return now - this.#hurriedAt > HURRIED_PATIENCE_MS;
  }

  /** Whether what begins to wait at SINCE takes up a wait that was long enough. */
  #isGivenUp(since: number): boolean {
    return since - this.#gaveUpAt < this.#patienceMs;
  }

  #tell(since: number): void {
    if (this.#told || this.#hurriedAt !== undefined || performance.now() - since < UNTOLD_MS) return;
    if (!this.#isGivenUp(since)) this.#told = this.#options.onWait?.(lockHolder(this.#file));
  }

  #tellEnd(failure?: EngineError): void {
    this.#told?.(failure);
    this.#told = undefined;
  }

  #giveUp({ since }: Wait): EngineError {
    const failure = new LockedDatabase(this.#file);
    const now = performance.now();
    if (now - since > this.#patienceMs) this.#gaveUpAt = now;
    this.#tellEnd(failure);
    return failure;
  }
}
