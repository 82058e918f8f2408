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
  // Most words hold nothing that a lexer is needed for.
  if (PLAIN_WORD.test(text)) return [{ text, offset: 0 }];
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

/** One word without quotes and escapes, in ASCII. */
const PLAIN_WORD = /^[!#-&(-[\]^_a-~]+$/;

/** Splits TEXT at blanks, whatever quotes it has, as FROM, EXPOSE and the file names of COPY do. */
export function splitWords(text: string): readonly SplitWord[] {
  const words: SplitWord[] = [];
  for (let start = nextWord(text, 0); start < text.length; ) {
    const end = nextBlank(text, start);
    words.push({ text: text.slice(start, end), offset: start });
    start = nextWord(text, end);
  }
  return words;
}

/** Splits TEXT at its first blanks: the first word and all the rest, undefined where there is no rest. */
export function cutWord(text: string): readonly [SplitWord, SplitWord | undefined] {
  const end = nextBlank(text, 0);
  if (end === text.length) return [{ text, offset: 0 }, undefined];
  const offset = nextWord(text, end);
  return [
    { text: text.slice(0, end), offset: 0 },
    { text: text.slice(offset), offset },
  ];
}

/** Where the next blank stands from AT on; at the end of TEXT if there is none. */
function nextBlank(text: string, at: number): number {
  let end = at;
  while (end < text.length && !isBlank(text.charCodeAt(end))) end++;
  return end;
}

/** Where what is no blank stands from AT on; at the end of TEXT if there is none. */
function nextWord(text: string, at: number): number {
  let start = at;
  while (start < text.length && isBlank(text.charCodeAt(start))) start++;
  return start;
}

/** A space, or what ASCII has besides but for the line feed: tabs, form feed and carriage return. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || (code >= 0x0b && code <= 0x0d);
}
