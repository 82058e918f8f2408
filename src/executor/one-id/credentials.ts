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

interface Known {
  readonly startedAt: string;
  readonly credentials: Credentials;
}

/**
 * Who each process of a step is. The kernel knows nothing of it: a process that was not seen before is what its parent is, and one whose
 * ancestors were not, INITIAL.
 */
export class CredentialTable {
  readonly #initial: Credentials;
  readonly #known = new Map<number, Known>();

  constructor(initial: Credentials) {
    this.#initial = initial;
  }

  /** Of the process that the thread TID is of. */
  of(tid: number): Credentials {
    if (this.#known.size === 0) return this.#initial;
    let at = tid;
    for (let i = 0; i < GENERATIONS_MAX; i++) {
      const found = processOf(at);
      if (!found) break;
      const known = this.#known.get(found.pid);
      if (known?.startedAt === found.startedAt) {
        if (found.pid !== tid) this.#remember(tid, known.credentials);
        return known.credentials;
      }
      at = found.parent;
    }
    this.#remember(tid, this.#initial);
    return this.#initial;
  }

  /** What changes nothing is not noted: as long as all are who they began as, nobody has to be looked up. */
  set(tid: number, credentials: Credentials): void {
    if (JSON.stringify(credentials) !== JSON.stringify(this.of(tid))) this.#remember(tid, credentials);
  }

  /** A process is noted as soon as it is seen: its parent may be gone the next time. */
  #remember(tid: number, credentials: Credentials): void {
    const found = processOf(tid);
    if (found) this.#known.set(found.pid, { startedAt: found.startedAt, credentials });
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Together with the number it names one process for good. */
  readonly startedAt: string;
}

/** The process of a thread (proc(5), stat and status); undefined once it is gone. */
function processOf(tid: number): Process | undefined {
  if (tid <= 0) return undefined;
  try {
    const status = fs.readFileSync(`/proc/${tid}/status`, "latin1");
    const pid = Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1]);
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]);
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TIME] ?? "";
    return { pid, parent, startedAt };
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}

/** Counted from the state, which follows the name. */
const START_TIME = 19;
