import type { Flag, Heredoc, Range, Word } from "./ast.js";
import { trimmed } from "./blanks.js";
import type { EscapeCharacter } from "./expand.js";
import { splitFlags } from "./flag-words.js";
import type { LogicalLine, SourceMap } from "./lines.js";
import { cutWord, type SplitWord } from "./words.js";

/** An instruction cut into its parts: the keyword, the flags, and all the rest. */
export interface RawInstruction {
  readonly keyword: Word;
  /** The keyword in capitals. */
  readonly name: string;
  readonly flags: readonly Flag[];
  /** What stands behind the flags, without blanks at its ends. */
  readonly rest: RawText;
  readonly escapeCharacter: EscapeCharacter;
  /** The whole line, as joined. */
  readonly line: string;
}

/** A raw instruction with all that stands around it. */
export interface CompleteInstruction extends RawInstruction {
  /** The joined lines and the heredocs. */
  readonly range: Range;
  /** `line` without blanks at its ends. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
  readonly comments: readonly string[];
}

/** RAW with what stands around it. */
export function completeInstruction(
  { keyword, name, flags, rest, escapeCharacter, line }: RawInstruction,
  { range, heredocs, comments }: Pick<CompleteInstruction, "range" | "heredocs" | "comments">,
): CompleteInstruction {
  const original = trimmed(line).text;
  return { keyword, name, flags, rest, escapeCharacter, line, range, original, heredocs, comments };
}

/** A part of a joined line that knows where it stands. */
export class RawText {
  readonly text: string;
  readonly #source: SourceMap;
  readonly #offset: number;

  constructor(text: string, source: SourceMap, offset: number) {
    this.text = text;
    this.#source = source;
    this.#offset = offset;
  }

  /** A word that was split from this text. */
  word(word: SplitWord): Word {
    const start = this.#offset + word.offset;
    return { text: word.text, range: this.#source.range(start, start + word.text.length) };
  }

  /** The place of the characters from START up to END of this text. */
  range(start = 0, end = this.text.length): Range {
    return this.#source.range(this.#offset + start, this.#offset + end);
  }

  /** The characters from START up to END, without blanks at their ends. */
  slice(start: number, end?: number): RawText {
    const part = trimmed(this.text.slice(start, end));
    return new RawText(part.text, this.#source, this.#offset + start + part.offset);
  }

  /** The characters from START on, as they are. */
  part(start: number): RawText {
    return new RawText(this.text.slice(start), this.#source, this.#offset + start);
  }
}

/** Cuts a joined line into keyword, flags and rest. */
export function cutInstruction(line: LogicalLine, escapeCharacter: EscapeCharacter): RawInstruction {
  return cut(new RawText(line.text, line.source, 0).slice(0), line.text, escapeCharacter);
}

/** Cuts the instruction within ONBUILD. */
export function cutTrigger(onbuild: RawInstruction): RawInstruction {
  return cut(onbuild.rest, onbuild.rest.text, onbuild.escapeCharacter);
}

function cut(text: RawText, line: string, escapeCharacter: EscapeCharacter): RawInstruction {
  const [first, behind] = cutWord(text.text);
  const keyword = text.word(first);
  const tail = text.part(behind?.offset ?? text.text.length);
  const { flags, end } = splitFlags(tail, escapeCharacter);
  const rest = tail.slice(end);
  return { keyword, name: nameOf(keyword.text), flags, rest, escapeCharacter, line };
}

const CAPITALS = /^[A-Z]*$/;

/** KEYWORD in capitals, which only letters become that Go's lower case has in ASCII. */
function nameOf(keyword: string): string {
  if (CAPITALS.test(keyword)) return keyword;
  // U+0130 is the one letter that JavaScript makes two of.
  return keyword
    .replaceAll("\u0130", "i")
    .toLowerCase()
    .replace(/[a-z]/g, (letter) => letter.toUpperCase());
}
