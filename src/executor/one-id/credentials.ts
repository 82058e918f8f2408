import fs from "node:fs";
import { systemCode } from "../../base/index.js";

/** The ids that a process believes to have. */
export interface Credentials {
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
  /** It may change its ids still when it is not root any more (PR_SET_KEEPCAPS), until it runs another program. */
  readonly keepsCapabilities: boolean;
}

/** Root, in GROUPS. */
export function rootIn(groups: readonly number[]): Credentials {
  const ids = { uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0 };
  return { ...ids, groups, keepsCapabilities: false };
}

/** Ancestors that are asked for their ids. */
const GENERATIONS_MAX = 1000;
/** As many threads are noted before the dead ones are looked for. */
const SWEEP_MIN = 1024;

interface Known {
  /** Together with the number it names one thread for good. */
  readonly startedAt: string;
  readonly credentials: Credentials;
}

/**
 * Who each thread of a step is. The kernel knows nothing of it: a thread that was not seen before is what its process is, a process what its
 * parent is, and one whose ancestors were not seen, INITIAL.
 */
export class CredentialTable {
  readonly #initial: Credentials;
  readonly #known = new Map<number, Known>();
  #sweepAt = SWEEP_MIN;

  constructor(initial: Credentials) {
    this.#initial = initial;
  }

  of(tid: number): Credentials {
    if (this.#known.size === 0) return this.#initial;
    const startedAt = startOf(tid);
    const known = this.#known.get(tid);
    if (known && known.startedAt === startedAt) return known.credentials;
    const credentials = this.#inherited(tid);
    // Noted as soon as it is seen: its parent may be gone the next time.
    if (startedAt !== undefined) this.#note(tid, { startedAt, credentials });
    return credentials;
  }

  /** What changes nothing is not noted: as long as all are who they began as, nobody has to be looked up. */
  set(tid: number, credentials: Credentials): void {
    if (JSON.stringify(credentials) === JSON.stringify(this.of(tid))) return;
    const startedAt = startOf(tid);
    if (startedAt !== undefined) this.#note(tid, { startedAt, credentials });
  }

  #note(tid: number, known: Known): void {
    this.#known.set(tid, known);
    if (this.#known.size < this.#sweepAt) return;
    for (const [each, { startedAt }] of this.#known) if (startOf(each) !== startedAt) this.#known.delete(each);
    this.#sweepAt = Math.max(SWEEP_MIN, 2 * this.#known.size);
  }

  #inherited(tid: number): Credentials {
    let at = elderOf(tid);
    for (let i = 0; i < GENERATIONS_MAX && at !== undefined; i++) {
      const known = this.#known.get(at);
      if (known && known.startedAt === startOf(at)) return known.credentials;
      at = elderOf(at);
    }
    return this.#initial;
  }
}

/** When a thread was started (proc(5), stat); undefined once it is gone. */
function startOf(tid: number): string | undefined {
  const stat = read(`/proc/${tid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ", START_TIME + 1)[START_TIME];
}

/** Counted from the state, which follows the name. */
const START_TIME = 19;

/** The first thread of a thread's process; of that, the parent. */
function elderOf(tid: number): number | undefined {
  const status = read(`/proc/${tid}/status`);
  if (status === undefined) return undefined;
  const process = Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1]);
  const elder = process === tid ? Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]) : process;
  return elder > 0 ? elder : undefined;
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "latin1");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}
