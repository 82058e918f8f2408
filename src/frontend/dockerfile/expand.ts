/** The variables an expansion may use. */
export interface VariableSource {
  /** The value of NAME, undefined where it is not set. */
  get(name: string): string | undefined;
}

/** What every expansion tells of the variables it asked for, in the order of first use. */
export interface Consulted {
  readonly consulted: readonly string[];
  /** Those of `consulted` that have no value, a default in the text or not. */
  readonly unset: readonly string[];
}

/** An expanded text, or why it is none: `failed to process "…": …`. */
export type ExpandResult = Consulted &
  ({ readonly ok: true; readonly value: string } | { readonly ok: false; readonly error: string });

/** The words of an expanded text, or why there are none. */
export type ExpandWordsResult = Consulted &
  ({ readonly ok: true; readonly words: readonly string[] } | { readonly ok: false; readonly error: string });

/** The character that escapes: `\` or what the `escape` directive chose. */
export type EscapeCharacter = "\\" | "`";

/** Expands TEXT to one word: variables replaced, quotes and escapes processed. Never throws. */
export declare function expandWord(text: string, env: VariableSource, escape: EscapeCharacter): ExpandResult;

/** Expands TEXT and splits it at blanks, those of values included and quoted ones not. Never throws. */
export declare function expandWords(text: string, env: VariableSource, escape: EscapeCharacter): ExpandWordsResult;

/** Expands the body of a heredoc: quotes stay, and `\` escapes whatever the `escape` directive says. Never throws. */
export declare function expandHeredoc(text: string, env: VariableSource): ExpandResult;
