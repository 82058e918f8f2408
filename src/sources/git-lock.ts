import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, canceled, tryLock } from "../base/index.js";

/** Pauses between tries for a lock that another has. Milliseconds. */
const PAUSES_MS = { first: 5, most: 200 } as const;

/** Takes FILE's lock, which dies with this process, and waits for it while somebody has it. */
export async function lockFile(file: string, { signal }: AbortOptions): Promise<Disposable> {
  for (let pauseMs: number = PAUSES_MS.first; ; pauseMs = Math.min(pauseMs * 2, PAUSES_MS.most)) {
    if (signal?.aborted) throw canceled(signal);
    const lock = tryLockFile(file);
    if (lock !== undefined) return lock;
    await delay(pauseMs, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

/** Takes FILE's lock; undefined if somebody has it. */
export function tryLockFile(file: string): Disposable | undefined {
  const fd = fs.openSync(file, "a", 0o600);
  try {
    // A file that was removed while it was opened locks nobody out.
    if (tryLock(fd, "exclusive") && fs.fstatSync(fd).ino === fs.statSync(file, { throwIfNoEntry: false })?.ino)
      return { [Symbol.dispose]: () => fs.closeSync(fd) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}
