import fs from "node:fs";
import path from "node:path";
import { systemCode } from "../base/index.js";

/**
 * What a step has written, on disk: what is shown of it may be cut or gone. Of very much the beginning and the end, with a line between
 * them that says what is missing. The logs of earlier steps are kept, up to a number and a sum of bytes; the oldest go first.
 */
export class StepLog implements Disposable {
  readonly path: string;
  readonly #bounds: StepLogBounds;
  #fd: number | undefined;
  #lines = 0;
  #bytes = 0;
  /** Where the file ends. */
  #end = 0;
  /** Where its beginning ends, once that is full: behind its last whole line. */
  #headEnd: number | undefined;
  #lastLineEnd = 0;
  /** What was left out, and how long the line is that says so. Bytes. */
  #omitted = 0;
  #noteLength = 0;
  #broken = false;

  /** A log of that NAME in DIRECTORY; its file is made by the first output. */
  constructor(directory: string, name: string, bounds: StepLogBounds = STEP_LOG_BOUNDS) {
    this.path = path.join(directory, `${name}.log`);
    this.#bounds = bounds;
  }

  /** Adds output. Where the disk has no room for it the log ends; the step goes on. */
  write(chunk: Uint8Array): void {
    if (this.#lines <= LINES_COUNTED) this.#lines += lineEnds(chunk);
    this.#bytes += chunk.length;
    if (this.#broken) return;
    try {
      this.#fd ??= create(this.path);
      this.#append(this.#fd, chunk);
      // Not at each output: what is at the end moves to the beginning of its place.
      const { headBytes, tailBytes } = this.#bounds;
      if (this.#end > headBytes + 2 * tailBytes) this.#cut(this.#fd);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.#broken = true;
    }
  }

  #append(fd: number, chunk: Uint8Array): void {
    const { headBytes } = this.#bounds;
    if (this.#headEnd === undefined) {
      const last = chunk.subarray(0, headBytes - this.#end).lastIndexOf(LINE_END);
      if (last >= 0) this.#lastLineEnd = this.#end + last + 1;
      if (this.#end + chunk.length > headBytes) this.#headEnd = this.#lastLineEnd || headBytes;
    }
    this.#writeAt(fd, chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Leaves out what is between the beginning and the end. */
  #cut(fd: number): void {
    const headEnd = this.#headEnd ?? 0;
    const tail = Buffer.alloc(Math.min(this.#bounds.tailBytes, this.#end - headEnd - this.#noteLength));
    fs.readSync(fd, tail, 0, tail.length, this.#end - tail.length);
    const kept = tail.subarray(tail.indexOf(LINE_END) + 1);
    this.#omitted += this.#end - headEnd - this.#noteLength - kept.length;
    const note = Buffer.from(`[${this.#omitted} bytes of output are left out here]\n`);
    this.#writeAt(fd, Buffer.concat([note, kept]), headEnd);
    this.#noteLength = note.length;
    this.#end = headEnd + note.length + kept.length;
    fs.ftruncateSync(fd, this.#end);
  }

  #writeAt(fd: number, bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; )
      done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
  }

  /** Whether it is whole. */
  get isWhole(): boolean {
    return this.#omitted === 0 && this.#end <= this.#bounds.headBytes + this.#bounds.tailBytes;
  }

  /** Whether it holds more than LINES lines (fewer than a thousand) or more than BYTES, readable. */
  isLongerThan({ lines, bytes }: { readonly lines: number; readonly bytes: number }): boolean {
    return !this.#broken && (this.#lines > lines || this.#bytes > bytes);
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return;
    try {
      if (!this.#broken && this.#end > this.#bounds.headBytes + this.#bounds.tailBytes + this.#noteLength)
        this.#cut(this.#fd);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
    } finally {
      fs.closeSync(this.#fd);
      this.#fd = undefined;
    }
  }
}

/** How much of what a step has written is kept of its beginning and of its end. Bytes. */
export interface StepLogBounds {
  readonly headBytes: number;
  readonly tailBytes: number;
}

const STEP_LOG_BOUNDS: StepLogBounds = { headBytes: 8 << 20, tailBytes: 8 << 20 };

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
  return fs.openSync(file, "w+", 0o600);
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
