import type { Position, Range } from "./ast.js";
import { leadingSpace } from "./blanks.js";
import type { EscapeCharacter } from "./expand.js";
import { lexLines, type PhysicalLine } from "./lexer.js";

/** What one physical line may hold, in bytes without the line end. */
const MAX_LINE_BYTES = 65_535;

/** What an instruction may hold when its lines are joined, in UTF-16 units, heredocs aside. BuildKit has no such bound. */
const MAX_JOINED_UNITS = 2 * 1024 * 1024;

/** An instruction's line, its continuations joined and the comments among them dropped. */
export interface LogicalLine {
  readonly text: string;
  readonly source: SourceMap;
  /** First and last line, from 1, heredocs not included. */
  readonly startLine: number;
  readonly endLine: number;
  readonly hasEmptyContinuation: boolean;
  /** It goes on further than instructions may; TEXT is its beginning. */
  readonly isTooLong: boolean;
  /** One of its physical lines is longer than is allowed, which was reported. */
  readonly hasLongLine: boolean;
}

/** Hands out the lines of a file: an instruction's, or a heredoc's. */
export class LineReader {
  readonly #lines: Iterator<PhysicalLine, undefined>;
  readonly #onTooLong: (line: number) => void;
  #line = 0;
  /** The line beyond the allowed length that was taken last. */
  #lastLong = 0;

  /** A line beyond the allowed length is reported to ONTOOLONG. */
  constructor(text: string, onTooLong: (line: number) => void) {
    this.#lines = lexLines(text);
    this.#onTooLong = onTooLong;
  }

  /** The number of the line that was taken last. */
  get line(): number {
    return this.#line;
  }

  /** The next line as it is, taken. */
  take(): PhysicalLine | undefined {
    const next = this.#lines.next();
    if (next.done) return undefined;
    const line = next.value;
    this.#line = line.number;
    if (isTooLong(line)) {
      this.#lastLong = line.number;
      this.#onTooLong(line.number);
    }
    return line;
  }

  /** FIRST, which was taken, with the lines that continue it. */
  join(first: PhysicalLine, escapeCharacter: EscapeCharacter): LogicalLine {
    const source = new SourceMap();
    const indent = leadingSpace(first.text);
    let hasEmptyContinuation = false;
    let hasLongLine = this.#isLong(first);
    let part = continued(withoutLineEnd(first.text).slice(indent), escapeCharacter);
    const parts = [part.text];
    let isTooLong = part.text.length > MAX_JOINED_UNITS;
    source.add(part.text.length, { line: first.number, character: indent });
    while (part.continues) {
      const line = this.take();
      if (!line) break;
      if (line.kind === "comment") continue;
      if (line.kind === "blank") {
        hasEmptyContinuation = true;
        continue;
      }
      hasLongLine ||= this.#isLong(line);
      part = continued(withoutLineEnd(line.text), escapeCharacter);
      isTooLong ||= source.length + part.text.length > MAX_JOINED_UNITS;
      if (isTooLong) continue;
      parts.push(part.text);
      source.add(part.text.length, { line: line.number, character: 0 });
    }
    const text = parts.join("");
    const lines = { startLine: first.number, endLine: this.#line };
    return { text, source, ...lines, hasEmptyContinuation, isTooLong, hasLongLine };
  }

  #isLong({ number }: PhysicalLine): boolean {
    return number === this.#lastLong;
  }
}

/** Whether LINE is longer than is allowed, its line end aside. */
function isTooLong({ text }: PhysicalLine): boolean {
  // No UTF-16 unit takes more than three bytes.
  if (text.length * 3 <= MAX_LINE_BYTES) return false;
  return Buffer.byteLength(text) - (text.endsWith("\n") ? 1 : 0) > MAX_LINE_BYTES;
}

/** The message for a line that is too long. */
export const LINE_TOO_LONG = `dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`;

/** The message for an instruction that is. */
export const INSTRUCTION_TOO_LONG = `an instruction may be ${MAX_JOINED_UNITS} characters long, without its heredocs`;

/** Where the parts of a joined line stand in the file. */
export class SourceMap {
  readonly #offsets: number[] = [];
  readonly #positions: Position[] = [];
  #length = 0;

  /** How long the joined line is. */
  get length(): number {
    return this.#length;
  }

  /** Says that the next LENGTH characters of the joined line stand at POSITION and behind it. */
  add(length: number, position: Position): void {
    this.#offsets.push(this.#length);
    this.#positions.push(position);
    this.#length += length;
  }

  /** Where the characters from START up to END of the joined line stand. */
  range(start: number, end: number): Range {
    const from = this.#position(start);
    if (end <= start) return { start: from, end: from };
    const last = this.#position(end - 1);
    return { start: from, end: { line: last.line, character: last.character + 1 } };
  }

  #position(offset: number): Position {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#offsets[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const position = this.#positions[low] ?? { line: 1, character: 0 };
    return { line: position.line, character: position.character + offset - (this.#offsets[low] ?? 0) };
  }
}

/** A line without the line feed and the carriage returns at its end. */
export function withoutLineEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === "\n" || text[end - 1] === "\r")) end--;
  return text.slice(0, end);
}

/**
 * LINE without the escape character at its end, which may have blanks behind it, and whether there was one. Two of them
 * are none: the first escapes the second.
 */
function continued(
  line: string,
  escapeCharacter: EscapeCharacter,
): { readonly text: string; readonly continues: boolean } {
  let end = line.length;
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t")) end--;
  const continues = line[end - 1] === escapeCharacter && line[end - 2] !== escapeCharacter;
  return { text: continues ? line.slice(0, end - 1) : line, continues };
}
