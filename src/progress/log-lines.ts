/** One line of a step's output, without its end. `overwritten`: a bare carriage return ended it, the next one takes its place. */
export interface LogLine {
  readonly text: string;
  readonly overwritten: boolean;
}

/** Cuts one stream of bytes into lines, whatever way it is cut into chunks. */
export interface LogLines {
  /** The lines CHUNK completes. Bytes that are no UTF-8 become U+FFFD. */
  push(chunk: Uint8Array): readonly LogLine[];
  /** Whether something has come since the last line's end. */
  readonly hasPartial: boolean;
  /** What has come since the last line's end; empty if nothing. */
  partial(): string;
  /** Takes the unfinished line, if there is one: the stream ended, or it waited too long. */
  drain(): LogLine | undefined;
}

/** A line longer than this many UTF-16 units is cut. */
const MAX_LINE_LENGTH = 64 * 1024;

export function createLogLines(): LogLines {
  return new Splitter();
}

class Splitter implements LogLines {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(chunk: Uint8Array): readonly LogLine[] {
    const decoded = this.#decoder.decode(chunk, { stream: true });
    const text = this.#rest + decoded;
    const lines: LogLine[] = [];
    let start = 0;
    // Only a new line break, or a carriage return kept back to see what follows it, can end a line.
    const mayEnd = this.#rest.endsWith("\r") || /[\r\n]/.test(decoded);
    for (const end of mayEnd ? text.matchAll(/\r*\n|\r+(?![\r\n]|$)/g) : []) {
      const overwritten = !end[0].endsWith("\n");
      if (!(overwritten && end.index === start)) lines.push({ text: text.slice(start, end.index), overwritten });
      start = end.index + end[0].length;
    }
    for (; text.length - start > MAX_LINE_LENGTH; start += MAX_LINE_LENGTH) {
      lines.push({ text: text.slice(start, start + MAX_LINE_LENGTH), overwritten: false });
    }
    this.#rest = text.slice(start);
    return lines;
  }

  get hasPartial(): boolean {
    return this.#rest !== "";
  }

  partial(): string {
    return this.#rest.replace(/\r+$/, "");
  }

  drain(): LogLine | undefined {
    const text = this.partial();
    const overwritten = this.#rest.endsWith("\r");
    this.#rest = "";
    return text === "" ? undefined : { text, overwritten };
  }
}
