import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../base/index.js";

/**
 * All that a step has written, on disk: what is shown of it may be cut or gone. The logs of earlier steps are kept, up to a number and a
 * sum of bytes; the oldest go first.
 */
export class StepLog implements Disposable {
  readonly path: string;
  #fd: number | undefined;
  #lines = 0;
  #bytes = 0;
  #broken = false;

  /** A log of that NAME in DIRECTORY; its file is made by the first output. */
  constructor(directory: string, name: string) {
    this.path = path.join(directory, `${name}.log`);
  }

  /** Adds output. Where the disk has no room for it the log ends; the step goes on. */
  write(chunk: Uint8Array): void {
    if (this.#lines <= LINES_COUNTED) this.#lines += lineEnds(chunk);
    this.#bytes += chunk.length;
    if (this.#broken) return;
    try {
      this.#fd ??= create(this.path);
      for (let done = 0; done < chunk.length; ) done += fs.writeSync(this.#fd, chunk, done);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.#broken = true;
    }
  }

  /** Whether it holds more than LINES lines (fewer than a thousand) or more than BYTES, whole and readable. */
  isLongerThan({ lines, bytes }: { readonly lines: number; readonly bytes: number }): boolean {
    return !this.#broken && (this.#lines > lines || this.#bytes > bytes);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** A log on disk. */
export interface StoredLog {
  readonly path: string;
  readonly sizeBytes: number;
  readonly writtenAt: number;
}

/** The logs in DIRECTORY, the oldest first. */
export function listStepLogs(directory: string): readonly StoredLog[] {
  const names = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  const logs = names.flatMap((name) => {
    const file = path.join(directory, name);
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    return stat ? [{ path: file, sizeBytes: stat.size, writtenAt: stat.mtimeMs }] : [];
  });
  return logs.sort((a, b) => a.writtenAt - b.writtenAt);
}

const LINES_COUNTED = 1000;
const LOGS_MAX = 256;
const LOGS_BYTES_MAX = 1 << 30;
const LINE_END = 0x0a;

function create(file: string): number {
  const directory = path.dirname(file);
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  makeRoom(directory);
  return fs.openSync(file, "a", 0o600);
}

function makeRoom(directory: string): void {
  const logs = listStepLogs(directory);
  let bytes = logs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let count = logs.length;
  for (const { path: file, sizeBytes } of logs) {
    if (count < LOGS_MAX && bytes <= LOGS_BYTES_MAX) return;
    fs.rmSync(file, { force: true });
    bytes -= sizeBytes;
    count--;
  }
}

function lineEnds(chunk: Uint8Array): number {
  let count = 0;
  for (let at = chunk.indexOf(LINE_END); at >= 0; at = chunk.indexOf(LINE_END, at + 1)) count++;
  return count;
}
