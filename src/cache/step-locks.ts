import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  canceled,
  describeProcess,
  hexOf,
  signByte,
  signerOf,
  systemCode,
  tryLockByte,
  unlockByte,
  unsignByte,
} from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";
import type { CacheKey, StepLocks } from "../solver/index.js";

/**
 * The locks of an engine on a state directory: bytes of one file, each at a place that its key says, held by the open file and so by
 * the process. Nothing has to be removed after use. Disposing of it ends every lock.
 */
export function createStepLocks(dirs: StateDirs): StepLocks & Disposable {
  let file: number | undefined;
  return {
    async take(key, { signal, onWait }) {
      const offset = placeOf(key);
      file ??= fs.openSync(path.join(dirs.root, LOCK_FILE), "a+", OWNER_ONLY);
      let told: { readonly holder: string | undefined } | undefined;
      for (let pause: number = BACK_OFF_MS.min; ; pause = Math.min(2 * pause, BACK_OFF_MS.max)) {
        if (signal?.aborted) throw canceled(signal);
        const lock = tryTake(file, offset);
        if (lock) return lock;
        const holder = holderOf(file, offset) ?? told?.holder; // between two of them nobody has signed
        if (!told || told.holder !== holder) onWait(holder);
        told = { holder };
        await delay(pause, undefined, signal ? { signal } : {}).catch(() => undefined);
      }
    },
    [Symbol.dispose]() {
      if (file !== undefined) fs.closeSync(file);
    },
  };
}

const LOCK_FILE = "steps.lock";
const OWNER_ONLY = 0o600;

/** Bounds of the pause between tries for a lock that another process holds. Milliseconds. */
const BACK_OFF_MS = { min: 5, max: 100 } as const;

function tryTake(fd: number, offset: bigint): Disposable | undefined {
  try {
    if (!tryLockByte(fd, offset)) return undefined;
  } catch (error) {
    // A kernel without such locks: what two processes run at once is made twice, and as right as ever.
    if (systemCode(error) === "EINVAL") return { [Symbol.dispose]() {} };
    throw error;
  }
  signByte(fd, SIGNATURES + offset);
  return {
    [Symbol.dispose]() {
      unsignByte(fd, SIGNATURES + offset);
      unlockByte(fd, offset);
    },
  };
}

/** Beside each lock, so far above it, stands who has it. */
const SIGNATURES = 1n << 60n;

function holderOf(fd: number, offset: bigint): string | undefined {
  const pid = signerOf(fd, SIGNATURES + offset);
  return pid === undefined ? undefined : describeProcess(pid);
}

/** Hexadecimal digits of a key that tell its place: 60 bits, so that two keys hardly ever share one. */
const PLACE_DIGITS = 15;

function placeOf(key: CacheKey): bigint {
  return BigInt(`0x${hexOf(key).slice(0, PLACE_DIGITS)}`);
}
