import fs from "node:fs";
import path from "node:path";
import { errorCode, firstError } from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";

/**
 * Even to remove something, the database has to write. On a full disk it takes the room of a file that was kept for that: so large where
 * there is room for it, and this share of the room where there is less. Bytes.
 */
const RESERVE_BYTES = { min: 2 ** 17, max: 2 ** 20 } as const;
const SHARE_OF_ROOM = 1 / 64;
const RESERVE_FILE = "reserve";

/** Sees to it that there is a reserve, where nobody would miss the room. */
export function keepReserve({ root }: StateDirs): void {
  const file = path.join(root, RESERVE_FILE);
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size >= RESERVE_BYTES.max) return;
  const { bavail, bsize } = fs.statfsSync(root);
  const wanted = Math.min(Math.floor(bavail * bsize * SHARE_OF_ROOM), RESERVE_BYTES.max);
  if (wanted < RESERVE_BYTES.min || wanted < 2 * size) return;
  try {
    fs.writeFileSync(file, Buffer.alloc(wanted), { mode: 0o600 });
  } catch {
    // There is less room than it seemed (a quota), and what has been written of it may stay.
  }
}

/** Does WORK, which makes room and may be done again; where there is too little even for that, with as much of the reserve as it takes. */
export async function withReserve<T>(dirs: StateDirs, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (errorCode(firstError(error)) !== "no-space" || !giveUpSome(dirs)) throw error;
    }
  }
}

/** Gives up a part of the reserve; where there is none, what is only remembered to read contexts faster. False if there is nothing. */
function giveUpSome({ root, contexts }: StateDirs): boolean {
  const reserve = path.join(root, RESERVE_FILE);
  const left = (fs.statSync(reserve, { throwIfNoEntry: false })?.size ?? 0) - RESERVE_BYTES.min;
  if (left > 0) {
    fs.truncateSync(reserve, left);
    return true;
  }
  const files = fs.existsSync(reserve) ? [reserve] : fs.readdirSync(contexts).map((name) => path.join(contexts, name));
  for (const file of files) fs.rmSync(file, { force: true });
  return files.length > 0;
}
