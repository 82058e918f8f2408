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
  #spoke = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(file: string, emit: (fd: 1 | 2, chunk: Uint8Array) => void) {
    this.#file = file;
    this.#emit = emit;
  }

  /** Whether the step has said something, and so was started. */
  get spoke(): boolean {
    return this.#spoke;
  }

  /** Takes output as it comes; passes the step's on at once, but for first words that may be the runtime's last. */
  output(fd: 1 | 2, chunk: Uint8Array): void {
    if (fd === 1) {
      this.#release();
      this.#pass(fd, chunk);
    } else if (this.#held.length > 0 || !this.#spoke || this.#hasFailed()) {
      this.#held.push(chunk);
      this.#timer ??= setTimeout(() => this.#release(), DOUBT_MS);
    } else this.#pass(fd, chunk);
  }

  /** At the end: hands over what was the step's after all, and gives the runtime's reason, if it gave up. */
  finish(): string | undefined {
    clearTimeout(this.#timer);
    const messages = this.#errors();
    let held: Buffer = Buffer.concat(this.#held);
    const last = crunExecMessage(held);
    if (last !== undefined) {
      messages.push(last);
      held = Buffer.alloc(0);
    }
    for (const message of messages) held = without(held, Buffer.from(`${message.trimEnd()}\n`));
    if (held.length > 0) this.#pass(2, held);
    return messages.length === 0 ? undefined : messages.join("\n").trim();
  }

  #pass(fd: 1 | 2, chunk: Uint8Array): void {
    this.#spoke = true;
    this.#emit(fd, chunk);
  }

  /** Passes on what was held, unless the runtime has given up. */
  #release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#held.length === 0 || this.#hasFailed() || startsLikeCrunExec(this.#held)) return;
    for (const chunk of this.#held.splice(0)) this.#pass(2, chunk);
  }

  #hasFailed(): boolean {
    const size = fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    if (size !== this.#readBytes) {
      this.#readBytes = size;
      this.#failed = this.#errors().length > 0;
    }
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

/** A runtime's log and its output may be seen this far apart. */
const DOUBT_MS = 20;
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

function startsLikeCrunExec([first]: readonly Uint8Array[]): boolean {
  return first !== undefined && Buffer.from(first.subarray(0, CRUN_EXEC.length)).equals(Buffer.from(CRUN_EXEC));
}

function crunExecMessage(held: Buffer): string | undefined {
  const text = held.toString("utf8");
  return text.startsWith(CRUN_EXEC) ? parseEntry(text.trimEnd())?.msg : undefined;
}

function without(text: Buffer, part: Buffer): Buffer {
  const at = text.lastIndexOf(part);
  return at < 0 ? text : Buffer.concat([text.subarray(0, at), text.subarray(at + part.length)]);
}
