import type { Flag, Range } from "./ast.js";
import type { Mistake } from "./diagnostics.js";
import { FLAG_MARK } from "./flag-words.js";
import { suggest, withSuggestion } from "./suggest.js";

/** What a flag takes: `true` or `false` or nothing, one value, or a value each time it is given. */
type FlagKind = "boolean" | "string" | "strings";

/** The flags of an instruction by name. */
export type FlagSchema = Readonly<Record<string, FlagKind>>;

/** The flags that SCHEMA does not allow, and why, in their order. */
export function checkFlags(flags: readonly Flag[], schema: FlagSchema): readonly Mistake[] {
  if (flags.length === 0) return NO_MISTAKES;
  const seen = new Set<string>();
  return flags.flatMap((flag) => {
    const { name } = flag;
    const kind = Object.hasOwn(schema, name) ? schema[name] : undefined;
    const problem = kind ? checkFlag(flag, kind, seen) : unknownFlag(flag, schema);
    seen.add(name);
    return problem ?? [];
  });
}

const NO_MISTAKES: readonly Mistake[] = [];

function unknownFlag(flag: Flag, schema: FlagSchema): Mistake {
  const meant = suggest(flag.name, Object.keys(schema));
  const { message, suggestion } = withSuggestion(`unknown flag: --${flag.name}`, meant);
  return { message, suggestion: suggestion && `${FLAG_MARK}${suggestion}`, culprit: nameRange(flag) };
}

function checkFlag(flag: Flag, kind: FlagKind, seen: ReadonlySet<string>): Mistake | undefined {
  const { name, value } = flag;
  if (seen.has(name) && kind !== "strings") {
    return { message: `duplicate flag specified: --${name}`, culprit: flag.range };
  }
  if (kind === "boolean" ? value === "" : value === undefined) {
    return { message: `missing a value on flag: --${name}`, culprit: flag.range };
  }
  if (kind !== "boolean" || value === undefined || /^(true|false)$/i.test(value)) return undefined;
  const meant = suggest(value.toLowerCase(), ["true", "false"]);
  const problem = withSuggestion(`expecting boolean value for flag --${name}, not: ${value}`, meant);
  return { ...problem, culprit: valueRange(flag) };
}

/** The place of the flag's name with its dashes. */
export function nameRange({ name, value, range }: Flag): Range {
  return value === undefined ? range : part({ name, value, range }, 0, name.length + FLAG_MARK.length);
}

/** The place of the flag's value, or of LENGTH characters of it from OFFSET. */
export function valueRange(flag: Flag, offset = 0, length?: number): Range {
  const start = FLAG_MARK.length + flag.name.length + 1 + offset;
  return part(flag, start, start + (length ?? (flag.value ?? "").length - offset));
}

/** The characters from START up to END of a flag; all of it where quotes, escapes or line ends stand in the way. */
function part({ name, value = "", range }: Flag, start: number, end: number): Range {
  const { line, character } = range.start;
  const length = FLAG_MARK.length + name.length + 1 + value.length;
  if (range.end.line !== line || range.end.character - character !== length) return range;
  return { start: { line, character: character + start }, end: { line, character: character + end } };
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
