import moo from "moo";
import { lazy } from "../../base/index.js";
import { leadingSpace } from "./blanks.js";
import type { EscapeCharacter } from "./expand.js";

/**
 * The tokens of a Dockerfile, on three levels: the physical lines of the file, the words of an instruction (ENV, LABEL,
 * ARG) and its flags. All rules are sticky and none backtracks over what another has taken, so each level is linear. They
 * match UTF-16 units, as whole characters would need a stack as long as the text.
 */

/** Unicode's white space: what parts words. */
const SPACE = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** One line of the file. */
export interface PhysicalLine {
  /**
   * `comment`: `#` is its first character that is not blank. What a line means within a heredoc is the reader's to say.
   */
  readonly kind: "comment" | "blank" | "text";
  /** With its line end, if it has one. */
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

/** Hands out the lines of a file, one by one. */
export class LineCursor {
  readonly #text: string;
  #at = 0;
  #number = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next line, undefined at the end. */
  next(): PhysicalLine | undefined {
    const start = this.#at;
    if (start >= this.#text.length) return undefined;
    const feed = this.#text.indexOf("\n", start);
    this.#at = feed < 0 ? this.#text.length : feed + 1;
    const text = this.#text.slice(start, this.#at);
    return { kind: kindOf(text), text, number: ++this.#number };
  }
}

function kindOf(line: string): PhysicalLine["kind"] {
  const at = leadingSpace(line);
  if (at === line.length) return "blank";
  return line[at] === "#" ? "comment" : "text";
}

/** A token of a line's words or flags; `escaped` is the escape character with the character behind it. */
export interface WordToken {
  readonly type: "space" | "escaped" | "dangling" | "open" | "close" | "text";
  readonly text: string;
  readonly offset: number;
}

/** What single quotes protect: everything, or everything but an escaped character (as builder flags have it). */
export type SingleQuotes = "verbatim" | "escapable";

/** The tokens of TEXT. A quote that is never closed simply lasts to the end. */
export function lexWords(text: string, escapeCharacter: EscapeCharacter, quotes: SingleQuotes): Iterable<WordToken> {
  return WORD_LEXERS[escapeCharacter][quotes]().reset(text) as Iterable<moo.Token> as Iterable<WordToken>;
}

const WORD_LEXERS = {
  "\\": {
    verbatim: lazy(() => compileWordLexer("\\\\", "verbatim")),
    escapable: lazy(() => compileWordLexer("\\\\", "escapable")),
  },
  "`": {
    verbatim: lazy(() => compileWordLexer("`", "verbatim")),
    escapable: lazy(() => compileWordLexer("`", "escapable")),
  },
} as const satisfies Record<EscapeCharacter, Record<SingleQuotes, () => moo.Lexer>>;

/** E is the escape character as a regular expression has it. */
function compileWordLexer(e: string, quotes: SingleQuotes): moo.Lexer {
  const escapes: moo.Rules = {
    escaped: { match: pattern(`${e}[^]`), lineBreaks: true },
    dangling: pattern(e),
  };
  const quoted = (quote: string, withEscapes: boolean): moo.Rules => ({
    ...(withEscapes ? escapes : {}),
    close: { match: pattern(quote), pop: 1 },
    text: { match: pattern(`[^${quote}${withEscapes ? e : ""}]+`), lineBreaks: true },
  });
  return moo.states({
    main: {
      space: { match: pattern(`[${SPACE}]+`), lineBreaks: true },
      ...escapes,
      open: [
        { match: pattern('"'), push: "double" },
        { match: pattern("'"), push: "single" },
      ],
      text: { match: pattern(`[^${SPACE}"'${e}]+`), lineBreaks: true },
    },
    double: quoted('"', true),
    single: quoted("'", quotes === "escapable"),
  });
}

function pattern(source: string): RegExp {
  return new RegExp(source);
}
