import fs from "node:fs";
import { describeProcess } from "../base/index.js";

/** Who keeps others from writing the database FILE: a process where it can be seen, else `another process`. */
export function lockHolder(file: string): string {
  const pid = writerOf(file);
  return pid === undefined ? "another process" : describeProcess(pid);
}

/**
 * Bytes of the database's -shm file that who writes, or brings the log into the database, holds locked
 * (https://sqlite.org/walformat.html, "WAL-Mode Blocking Locks"). The file must not be opened to ask for them: closing it again would end
 * this process's own locks (fcntl(2), "Record locks").
 */
const WRITE_BYTES = { first: 120n, last: 122n } as const;

/** proc_locks(5); undefined where nothing is seen, as of processes of other namespaces. */
function writerOf(file: string): number | undefined {
  try {
    const { ino } = fs.statSync(`${file}-shm`);
    const locks = fs.readFileSync("/proc/locks", "utf8").split("\n").flatMap(parseLock);
    return locks.find((lock) => lock.inode === String(ino) && overlaps(lock) && lock.pid !== process.pid)?.pid;
  } catch {
    return undefined;
  }
}

interface Lock {
  readonly pid: number;
  readonly inode: string;
  readonly first: bigint;
  readonly last: bigint;
}

/** Only locks that are held: who waits for one has an arrow. */
const LOCK = /^\d+: POSIX +\w+ +WRITE (\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)$/;

function parseLock(line: string): readonly Lock[] {
  const [, pid = "0", inode = "", first = "0", last = "0"] = LOCK.exec(line) ?? [];
  if (pid === "0") return []; // of another namespace
  return [{ pid: Number(pid), inode, first: BigInt(first), last: last === "EOF" ? WRITE_BYTES.last : BigInt(last) }];
}

function overlaps({ first, last }: Lock): boolean {
  return first <= WRITE_BYTES.last && last >= WRITE_BYTES.first;
}
