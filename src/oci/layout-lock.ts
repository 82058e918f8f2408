import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, canceled, EngineError, makeDirectories, systemCode, tryLock } from "../base/index.js";

/**
 * Calls WORK while nobody else changes the index of the layout in DIRECTORY, which is made where it is missing. The lock is the one that
 * BuildKit's clients take, and ends with its process. Errors: those of WORK, `unavailable` if somebody holds it for too long.
 */
export async function withLayoutLock<T>(
  directory: string,
  work: () => Promise<T>,
  { signal }: AbortOptions = {},
): Promise<T> {
  makeDirectories(directory);
  const file = path.join(directory, LOCK_FILE);
  for (let pause: number = BACK_OFF_MS.min, waitedMs = 0; ; pause = Math.min(2 * pause, BACK_OFF_MS.max)) {
    if (signal?.aborted) throw canceled(signal);
    const lock = take(file);
    if (lock !== undefined) {
      try {
        return await work();
      } finally {
        fs.rmSync(file, { force: true });
        fs.closeSync(lock);
      }
    }
    if (waitedMs > WAIT_MS)
      throw new EngineError("unavailable", `writing ${directory}: somebody else holds its lock, ${file}`);
    waitedMs += pause;
    await delay(pause, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

const LOCK_FILE = "index.json.lock";
const LOCK_FLAGS = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;
/** Bounds of the pause between tries, and how long they go on. Milliseconds. */
const BACK_OFF_MS = { min: 5, max: 100 } as const;
const WAIT_MS = 60_000;

/** File systems without locks: whoever writes there at once is the last to. */
const NO_LOCKS: readonly (string | undefined)[] = ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EINVAL"];

/** The open file, locked; undefined where somebody else has it. */
function take(file: string): number | undefined {
  const fd = fs.openSync(file, LOCK_FLAGS, 0o644);
  try {
    // Whoever had it before has removed the file: what is locked then is nobody's lock any more.
    if (tryLock(fd, "exclusive") && fs.statSync(file, { throwIfNoEntry: false })?.ino === fs.fstatSync(fd).ino)
      return fd;
  } catch (error) {
    if (NO_LOCKS.includes(systemCode(error))) return fd;
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}
