import fs from "node:fs";
import path from "node:path";
import { errorCode, firstError } from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";

/** Even to remove something, the database has to write. On a full disk it takes the room of a file that was kept for that. */
const RESERVE_BYTES = 2 ** 20;
/** It is made where there is so much room that nobody misses it. */
const ROOM_BYTES = 64 * RESERVE_BYTES;
const RESERVE_FILE = "reserve";

/** Sees to it that there is a reserve, where there is room for one. */
export function keepReserve({ root }: StateDirs): void {
  const file = path.join(root, RESERVE_FILE);
  if (fs.existsSync(file)) return;
  const { bavail, bsize } = fs.statfsSync(root);
  if (bavail * bsize < ROOM_BYTES) return;
  try {
    fs.writeFileSync(file, Buffer.alloc(RESERVE_BYTES), { mode: 0o600 });
  } catch {
    // There is less room than it seemed (a quota), and what has been written of it may stay.
  }
}

/** Does WORK, which makes room; where there is too little even for that, once more with the reserve's. */
export async function withReserve<T>({ root }: StateDirs, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const file = path.join(root, RESERVE_FILE);
    if (errorCode(firstError(error)) !== "no-space" || !fs.existsSync(file)) throw error;
    fs.rmSync(file, { force: true });
    return await work();
  }
}
