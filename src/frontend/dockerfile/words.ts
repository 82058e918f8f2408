import type { EscapeCharacter } from "./expand.js";
import { lexWords } from "./lexer.js";

/** A word of a line as it is written, with where it begins in the text it was split from. */
export interface SplitWord {
  readonly text: string;
  readonly offset: number;
}

/**
 * Splits TEXT at blanks that neither quotes nor the escape character protect, as ENV, LABEL and ARG do. Quotes and
 * escapes stay in the words; expansion processes them. An escape character at the very end is dropped.
 */
export function splitQuotedWords(text: string, escapeCharacter: EscapeCharacter): readonly SplitWord[] {
  const words: SplitWord[] = [];
  let parts: string[] = [];
  let offset = 0;
  const flush = () => {
    if (parts.length > 0) words.push({ text: parts.join(""), offset });
    parts = [];
  };
  for (const token of lexWords(text, escapeCharacter, "verbatim")) {
    if (token.type === "space") flush();
    else if (token.type !== "dangling") {
      if (parts.length === 0) offset = token.offset;
      parts.push(token.text);
    }
  }
  flush();
  return words;
}

/** Splits TEXT at blanks, whatever quotes it has, as FROM, EXPOSE and the file names of COPY do. */
export function splitWords(text: string): readonly SplitWord[] {
  return Array.from(text.matchAll(/[^\t\v\f\r ]+/g), (match) => ({ text: match[0], offset: match.index }));
}

/** Splits TEXT at its first blanks: the first word and all the rest, undefined where there is no rest. */
export function cutWord(text: string): readonly [SplitWord, SplitWord | undefined] {
  const blank = /[\t\v\f\r ]+/.exec(text);
  if (!blank) return [{ text, offset: 0 }, undefined];
  const rest = blank.index + blank[0].length;
  return [
    { text: text.slice(0, blank.index), offset: 0 },
    { text: text.slice(rest), offset: rest },
  ];
}
