import type { Position, Range } from "./ast.js";
import { leadingSpace } from "./blanks.js";
import type { EscapeCharacter } from "./expand.js";
import { LineCursor, type PhysicalLine } from "./lexer.js";

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
  readonly #lines: LineCursor;
  readonly #onTooLong: (line: number) => void;
  #line = 0;
  /** The line beyond the allowed length that was taken last. */
  #lastLong = 0;

  /** A line beyond the allowed length is reported to ONTOOLONG. */
  constructor(text: string, onTooLong: (line: number) => void) {
    this.#lines = new LineCursor(text);
    this.#onTooLong = onTooLong;
  }

  /** The number of the line that was taken last. */
  get line(): number {
    return this.#line;
  }

  /** The next line as it is, taken. */
  take(): PhysicalLine | undefined {
    const line = this.#lines.next();
    if (line === undefined) return undefined;
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
    const start = linePart(first.text, indent, escapeCharacter);
    source.add(start.text.length, first.number, indent);
    let text = start.text;
    let isTooLong = text.length > MAX_JOINED_UNITS;
    let hasEmptyContinuation = false;
    let hasLongLine = this.#isLong(first);
    let continues = start.continues;
    while (continues) {
      const line = this.take();
      if (!line) break;
      if (line.kind === "comment") continue;
      if (line.kind === "blank") {
        hasEmptyContinuation = true;
        continue;
      }
      hasLongLine ||= this.#isLong(line);
      const part = linePart(line.text, 0, escapeCharacter);
      continues = part.continues;
      isTooLong ||= text.length + part.text.length > MAX_JOINED_UNITS;
      if (isTooLong) continue;
      text += part.text;
      source.add(part.text.length, line.number, 0);
    }
    const { number: startLine } = first;
    return { text, source, startLine, endLine: this.#line, hasEmptyContinuation, isTooLong, hasLongLine };
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
  /** In order; each part goes up to where the next begins. */
  readonly #parts: { readonly offset: number; readonly line: number; readonly character: number }[] = [];
  #length = 0;

  /** Says that the next LENGTH characters of the joined line stand in LINE from CHARACTER on. */
  add(length: number, line: number, character: number): void {
    this.#parts.push({ offset: this.#length, line, character });
    this.#length += length;
  }

  /** Where the characters from START up to END of the joined line stand. */
  range(start: number, end: number): Range {
    const from = this.#position(start, start);
    // The end is behind the last character, not before the one that follows it, which may stand in another line.
    return { start: from, end: end <= start ? from : this.#position(end - 1, end) };
  }

  /** The place of OFFSET in the line that the character at ANCHOR stands in. */
  #position(anchor: number, offset: number): Position {
    let low = 0;
    let high = this.#parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#parts[middle]?.offset ?? 0) <= anchor) low = middle;
      else high = middle - 1;
    }
    const part = this.#parts[low];
    if (part === undefined) return { line: 1, character: offset };
    return { line: part.line, character: part.character + offset - part.offset };
  }
}

/** A line without the line feed and the carriage returns at its end. */
export function withoutLineEnd(text: string): string {
  return text.slice(0, lineLength(text));
}

function lineLength(text: string): number {
  let end = text.length;
  while (end > 0 && (text[end - 1] === "\n" || text[end - 1] === "\r")) end--;
  return end;
}

/**
 * What LINE adds to an instruction from START on: all but the line end, or all up to the escape character that stands last, blanks
 * behind it aside; then the instruction goes on in the next line. Of two escape characters the first escapes the second.
 */
export function linePart(
  line: string,
  start: number,
  escapeCharacter: EscapeCharacter,
): { readonly text: string; readonly continues: boolean } {
  const length = lineLength(line);
  let end = length;
  while (end > start && (line[end - 1] === " " || line[end - 1] === "\t")) end--;
  const continues =
    end > start && line[end - 1] === escapeCharacter && !(end - 1 > start && line[end - 2] === escapeCharacter);
  return { text: line.slice(start, continues ? end - 1 : length), continues };
}
