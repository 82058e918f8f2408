import { type ExpanderMode, Expansion } from "./expansion.js";
import { quote } from "./quote.js";

/** The variables an expansion may use. */
export interface VariableSource {
  /** The value of NAME, undefined where it is not set. */
  get(name: string): string | undefined;
}

/** What every expansion tells of the variables it asked for, in the order of first use. */
interface Consulted {
  readonly consulted: readonly string[];
  /** Those of `consulted` that have no value, a default in the text or not. */
  readonly unset: readonly string[];
}

interface FailedExpansion {
  readonly ok: false;
  readonly error: string;
  /** What can be done about it, where that is not plain. */
  readonly hint?: string | undefined;
}

/** An expanded text, or why it is none: `failed to process "…": …`. */
export type ExpandResult = Consulted & ({ readonly ok: true; readonly value: string } | FailedExpansion);

/** The words of an expanded text, or why there are none. */
export type ExpandWordsResult = Consulted &
  ({ readonly ok: true; readonly words: readonly string[] } | FailedExpansion);

/** The character that escapes: `\` or what the `escape` directive chose. */
export type EscapeCharacter = "\\" | "`";

/** Expands TEXT to one word: variables replaced, quotes and escapes processed. Never throws. */
export function expandWord(text: string, env: VariableSource, escapeCharacter: EscapeCharacter): ExpandResult {
  return expand(text, env, WORD_MODES[escapeCharacter]);
}

/** Expands TEXT and splits it at blanks, those of values included and quoted ones not. Never throws. */
export function expandWords(text: string, env: VariableSource, escapeCharacter: EscapeCharacter): ExpandWordsResult {
  const expansion = new Expansion(text, env, WORD_MODES[escapeCharacter]);
  const result = expansion.words();
  const consulted = consultedBy(expansion);
  if (!result.ok) return { ...consulted, ok: false, error: wrap(text, result.error), hint: expansion.hint };
  return { ...consulted, ok: true, words: result.value.map((word) => word.text) };
}

/** Expands the body of a heredoc: quotes stay, and `\` escapes whatever the `escape` directive says. Never throws. */
export function expandHeredoc(text: string, env: VariableSource): ExpandResult {
  return expand(text, env, HEREDOC_BODY);
}

const WORD: ExpanderMode = { escapeCharacter: "\\", quotes: "remove", keepEscapes: false, keepUnset: false };
const WORD_MODES: Readonly<Record<EscapeCharacter, ExpanderMode>> = {
  "\\": WORD,
  "`": { ...WORD, escapeCharacter: "`" },
};
const HEREDOC_BODY: ExpanderMode = { ...WORD, quotes: "ordinary" };

/** Those of NAMES that ENV knows, as `KEY=value`; undefined for none. */
export function settings(names: Iterable<string>, env: VariableSource): readonly string[] | undefined {
  const entries: string[] = [];
  for (const name of names) {
    const value = env.get(name);
    if (value !== undefined) entries.push(`${name}=${value}`);
  }
  return entries.length === 0 ? undefined : entries;
}

/** Whether TEXT means just what it says: most words of a file do. */
export function isLiteral(text: string): boolean {
  return !MEANINGFUL.test(text);
}

const MEANINGFUL = /[$'"\\`]|^\ufeff/;
const NOTHING: readonly string[] = [];

function expand(text: string, env: VariableSource, mode: ExpanderMode): ExpandResult {
  if (isLiteral(text)) return { consulted: NOTHING, unset: NOTHING, ok: true, value: text };
  const expansion = new Expansion(text, env, mode);
  const result = expansion.word();
  const { consulted, unset } = consultedBy(expansion);
  if (!result.ok) return { consulted, unset, ok: false, error: wrap(text, result.error), hint: expansion.hint };
  return { consulted, unset, ok: true, value: result.value };
}

function consultedBy(expansion: Expansion): Consulted {
  if (expansion.consulted === undefined) return { consulted: NOTHING, unset: NOTHING };
  const consulted: string[] = [];
  const unset: string[] = [];
  for (const [name, value] of expansion.consulted) {
    consulted.push(name);
    if (value === undefined) unset.push(name);
  }
  return { consulted, unset };
}

/** How much of a text a message quotes, in UTF-16 units. */
const MAX_QUOTED_UNITS = 4096;

function wrap(text: string, error: string): string {
  const shown = text.length > MAX_QUOTED_UNITS ? `${text.slice(0, MAX_QUOTED_UNITS)}…` : text;
  return `failed to process ${quote(shown)}: ${error}`;
}
