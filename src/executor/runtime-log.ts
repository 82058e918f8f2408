import fs from "node:fs";

/**
 * Tells a runtime's own words from the step's on the one error output they share. A runtime that gives up writes its reason to its log
 * file and then the same text to that output, so nothing but what stands in the log is taken out.
 */
export class RuntimeLog {
  readonly #file: string;
  readonly #emit: (fd: 1 | 2, chunk: Uint8Array) => void;
  readonly #held: Uint8Array[] = [];
  #readBytes = 0;
  #failed = false;

  constructor(file: string, emit: (fd: 1 | 2, chunk: Uint8Array) => void) {
    this.#file = file;
    this.#emit = emit;
  }

  /** Takes output as it comes; passes the step's on at once. */
  output(fd: 1 | 2, chunk: Uint8Array): void {
    const streams = this.#held.length === 0 && !this.#hasFailed() && !startsLikeCrunExec(chunk);
    if (fd === 1 || streams) this.#emit(fd, chunk);
    else this.#held.push(chunk);
  }

  /** At the end: hands over what was the step's after all, and gives the runtime's reason, if it gave up. */
  finish(): string | undefined {
    const messages = this.#errors();
    let held: Buffer = Buffer.concat(this.#held);
    const last = crunExecMessage(held);
    if (last !== undefined) {
      messages.push(last);
      held = Buffer.alloc(0);
    }
    for (const message of messages) held = without(held, Buffer.from(`${message.trimEnd()}\n`));
    if (held.length > 0) this.#emit(2, held);
    return messages.length === 0 ? undefined : messages.join("\n").trim();
  }

  #hasFailed(): boolean {
    if (this.#failed) return true;
    const size = fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    if (size === this.#readBytes) return false;
    this.#readBytes = size;
    this.#failed = this.#errors().length > 0;
    return this.#failed;
  }

  #errors(): string[] {
    if (!fs.existsSync(this.#file)) return [];
    const text = fs.readFileSync(this.#file, "utf8").slice(0, LOG_MAX_CHARS);
    return text.split("\n").flatMap((line) => {
      const entry = parseEntry(line);
      return entry && SERIOUS.includes(entry.level) ? [entry.msg] : [];
    });
  }
}

const LOG_MAX_CHARS = 64 * 1024;
const SERIOUS = ["error", "fatal", "panic"];

function parseEntry(line: string): { readonly level: string; readonly msg: string } | undefined {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    return typeof level === "string" && typeof msg === "string" ? { level, msg } : undefined;
  } catch {
    return undefined;
  }
}

/** When execve itself fails, crun has closed its log and only prints the entry. */
const CRUN_EXEC = '{"msg":"exec container process';

function startsLikeCrunExec(chunk: Uint8Array): boolean {
  return Buffer.from(chunk.subarray(0, CRUN_EXEC.length)).equals(Buffer.from(CRUN_EXEC));
}

function crunExecMessage(held: Buffer): string | undefined {
  const text = held.toString("utf8");
  return text.startsWith(CRUN_EXEC) ? parseEntry(text.trimEnd())?.msg : undefined;
}

function without(text: Buffer, part: Buffer): Buffer {
  const at = text.lastIndexOf(part);
  return at < 0 ? text : Buffer.concat([text.subarray(0, at), text.subarray(at + part.length)]);
}
