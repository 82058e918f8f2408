import fs from "node:fs";
import path from "node:path";
import { type Clock, systemCode, tryLock } from "../base/index.js";

/**
 * A running engine, as other processes see it: a lock file that its process holds (flock), so that it dies with the process, however
 * that ends. What is owned by a dead owner is garbage.
 */
export interface EngineOwner extends Disposable {
  readonly id: string;
}

/** Creates an owner named ID (unique, a plain file name) in DIRECTORY. */
export function createOwner(directory: string, id: string): EngineOwner {
  const file = path.join(directory, id);
  // Locked before it has its name: nobody ever sees a living owner's file without its lock.
  const unnamed = path.join(directory, `${UNNAMED_PREFIX}${id}`);
  const fd = fs.openSync(unnamed, "wx");
  if (!tryLock(fd, "exclusive")) throw new Error(`the lock file of a new owner is taken: ${unnamed}`);
  fs.renameSync(unnamed, file);
  return {
    id,
    [Symbol.dispose]() {
      if (fs.existsSync(file)) fs.unlinkSync(file);
      fs.closeSync(fd);
    },
  };
}

const UNNAMED_PREFIX = ".new-";

/** Whether the owner ID still runs. */
export function ownerIsAlive(directory: string, id: string): boolean {
  let fd: number;
  try {
    fd = fs.openSync(path.join(directory, id), "r");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
  try {
    return !tryLock(fd, "shared");
  } finally {
    fs.closeSync(fd);
  }
}

/** The ids of owners whose process is gone, their lock files still there, and names of such files that never got to be anybody's. */
export function deadOwners(directory: string, { now }: Clock): string[] {
  const isYoung = (id: string): boolean => {
    const { mtimeMs } = fs.statSync(path.join(directory, id), { throwIfNoEntry: false }) ?? { mtimeMs: 0 };
    return now() - mtimeMs < UNNAMED_MS;
  };
  const names = fs.readdirSync(directory).filter((id) => !id.startsWith(UNNAMED_PREFIX) || !isYoung(id));
  return names.filter((id) => !ownerIsAlive(directory, id));
}

/** A new owner's file is without a lock, and without its name, for less than this. Milliseconds. */
const UNNAMED_MS = 60_000;
