import fs from "node:fs";
import path from "node:path";
import type { CachePolicy } from "../cache/index.js";

/** When everything was looked through. */
export interface Aging {
  /** Milliseconds since the epoch; 0: never. */
  readonly at: number;
  /** Before then nothing more is old enough for a policy that keeps what is young. Milliseconds since the epoch; 0 where that is not known. */
  readonly ripeAt: number;
}

/** A file in the state directory that tells every process when somebody looked through everything for its age. */
export class AgingStamp {
  readonly #file: string;

  constructor(root: string) {
    this.#file = path.join(root, "collected");
  }

  /** What others with the same POLICIES have found counts. */
  read(policies: readonly CachePolicy[]): Aging {
    const at = fs.statSync(this.#file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const text = at === 0 ? "" : fs.readFileSync(this.#file, "utf8");
    const [ripeAt = "", ...written] = text.split(" ");
    const isTheirs = /^\d{1,15}$/.test(ripeAt) && written.join(" ") === shown(policies);
    return { at, ripeAt: isTheirs ? Number(ripeAt) : 0 };
  }

  /** Says that everything is looked through now. */
  write(policies: readonly CachePolicy[], ripeAt: number): void {
    fs.writeFileSync(
      this.#file,
      Number.isFinite(ripeAt) ? `${Math.max(0, Math.floor(ripeAt))} ${shown(policies)}` : "",
    );
  }
}

/** What tells policies apart, as far as numbers do. */
function shown(policies: readonly CachePolicy[]): string {
  return policies
    .map(({ filters, keepDurationMs, reservedBytes, maxUsedBytes, minFreeBytes }) =>
      [filters.length, keepDurationMs, reservedBytes, maxUsedBytes, minFreeBytes].join("/"),
    )
    .join(" ");
}
