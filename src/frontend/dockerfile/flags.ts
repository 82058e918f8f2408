import type { Flag } from "./ast.js";
import type { EscapeCharacter } from "./expand.js";
import { lexWords } from "./lexer.js";
import type { RawText } from "./raw.js";
import { didYouMean } from "./suggest.js";

/**
 * Takes the flags off the front of an instruction: words that begin with `--`, quotes and escapes in them processed, up
 * to the first that does not, or up to a lone `--`. END is where the rest begins.
 */
export function splitFlags(
  text: RawText,
  escapeCharacter: EscapeCharacter,
): { readonly flags: readonly Flag[]; readonly end: number } {
  const flags: Flag[] = [];
  let parts: string[] | undefined;
  let start = 0;
  for (const token of lexWords(text.text, escapeCharacter, "escapable")) {
    if (token.type === "space") {
      if (parts?.join("") === "--") return { flags, end: token.offset };
      if (parts) flags.push(readFlag(parts.join(""), text, [start, token.offset]));
      parts = undefined;
      continue;
    }
    if (!parts) {
      if (!text.text.startsWith("--", token.offset)) return { flags, end: token.offset };
      parts = [];
      start = token.offset;
    }
    if (token.type === "text") parts.push(token.text);
    if (token.type === "escaped") parts.push(token.text.slice(1));
  }
  const last = parts?.join("");
  if (last !== undefined && last !== "--") flags.push(readFlag(last, text, [start, text.text.length]));
  return { flags, end: text.text.length };
}

function readFlag(word: string, text: RawText, [start, end]: readonly [number, number]): Flag {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  return { name, value: equals < 0 ? undefined : word.slice(equals + 1), range: text.range(start, end) };
}

/** What a flag takes: `true` or `false` or nothing, one value, or a value each time it is given. */
type FlagKind = "boolean" | "string" | "strings";

/** The flags of an instruction by name. */
export type FlagSchema = Readonly<Record<string, FlagKind>>;

export interface FlagProblem {
  readonly message: string;
  readonly flag: Flag;
}

/** The first flag that SCHEMA does not allow, and why. */
export function checkFlags(flags: readonly Flag[], schema: FlagSchema): FlagProblem | undefined {
  const seen = new Set<string>();
  for (const flag of flags) {
    const message = checkFlag(flag, Object.hasOwn(schema, flag.name) ? schema[flag.name] : undefined, seen);
    if (message === undefined) continue;
    const hint = message.startsWith("unknown") ? didYouMean(flag.name, Object.keys(schema)) : "";
    return { message: message + hint, flag };
  }
  return undefined;
}

function checkFlag({ name, value }: Flag, kind: FlagKind | undefined, seen: Set<string>): string | undefined {
  if (kind === undefined) return `unknown flag: --${name}`;
  if (seen.has(name) && kind !== "strings") return `duplicate flag specified: --${name}`;
  seen.add(name);
  if (kind !== "boolean") return value === undefined ? `missing a value on flag: --${name}` : undefined;
  if (value === "") return `missing a value on flag: --${name}`;
  if (value === undefined || /^(true|false)$/i.test(value)) return undefined;
  return `expecting boolean value for flag --${name}, not: ${value}`;
}

/** The flag NAME, if it is given. */
export function findFlag(flags: readonly Flag[], name: string): Flag | undefined {
  return flags.find((flag) => flag.name === name);
}

/** The value of a flag that was checked to be boolean, if it is given. */
export function booleanFlag(flags: readonly Flag[], name: string): boolean | undefined {
  const flag = findFlag(flags, name);
  return flag && flag.value?.toLowerCase() !== "false";
}
