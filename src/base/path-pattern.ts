import { type Automaton, couldMatchBeyond, matchesAll } from "./automata.js";
import { EngineError } from "./errors.js";
import { compileIgnorePattern } from "./ignore-regexp.js";
import { compileWildcard } from "./path-wildcards.js";

/** One pattern of an ignore file, without its `!`. */
export interface PathPattern {
  readonly text: string;
  /** Whether it matches the path that it is, and no other. */
  readonly isExact: boolean;
  /** The first name of all paths that it matches, where that is certain, and that it is a pattern. */
  readonly firstName: string | undefined;
  /** Throws `invalid` for a pattern that is none: see `PatternMatcher`. */
  readonly matches: (path: string) => boolean;
  /** Whether it could match a path that begins with PREFIX, a directory with its slash, and is longer. */
  readonly couldMatchBeyond: (prefix: string) => boolean;
}

/**
 * Compiles TEXT, a clean path with wildcards; undefined where it is malformed. The plain forms, which most have, need no look at
 * each character.
 */
export function compilePattern(text: string): PathPattern | undefined {
  const isExact = isPlain(text);
  if (!isExact && compileWildcard(text) === undefined) return undefined;
  const { matches, couldMatchBeyond } = formOf(text);
  return { text, matches, couldMatchBeyond, isExact, firstName: firstNameOf(text) };
}

type Form = Pick<PathPattern, "matches" | "couldMatchBeyond">;

function formOf(text: string): Form {
  if (isPlain(text)) return exact(text);
  if (text.startsWith("**") && isPlain(text.slice(2))) return ending(text.slice(2));
  if (text.endsWith("**") && isPlain(text.slice(0, -2))) return beginning(text.slice(0, -2));
  return expression(text);
}

function isPlain(text: string): boolean {
  return !/[\\[\]*?]/.test(text);
}

function firstNameOf(text: string): string | undefined {
  if (/[\\[]/.test(text)) return undefined;
  const plain = /^[^\]*?]*/.exec(text)?.[0] ?? "";
  const slash = plain.indexOf("/");
  if (slash >= 0) return plain.slice(0, slash);
  return plain === text ? text : undefined;
}

function exact(text: string): Form {
  return {
    matches: (path) => path === text,
    couldMatchBeyond: (prefix) => text.length > prefix.length && text.startsWith(prefix),
  };
}

/** `text**`: everything that begins so. */
function beginning(text: string): Form {
  return {
    matches: (path) => path.startsWith(text),
    couldMatchBeyond: (prefix) => text.startsWith(prefix) || prefix.startsWith(text),
  };
}

/** `**text`: everything that ends so, within a name too; `**` + `/text` also that name at the top. */
function ending(text: string): Form {
  return {
    matches: (path) => path.endsWith(text) || (text.startsWith("/") && path === text.slice(1)),
    couldMatchBeyond: () => true,
  };
}

function expression(text: string): Form {
  let compiled: Automaton | undefined;
  const automaton = () => {
    compiled ??= compileIgnorePattern(text);
    if (compiled === undefined) throw new EngineError("invalid", `syntax error in pattern ${JSON.stringify(text)}`);
    return compiled;
  };
  const literal = /^[^\\[\]*?^]*/.exec(text)?.[0] ?? "";
  // Of what has neither classes nor escapes, what stands behind the last wildcard is plain.
  const ending = /[\\[\]^]/.test(text) ? "" : text.slice(Math.max(text.lastIndexOf("*"), text.lastIndexOf("?")) + 1);
  const last = ending.slice(ending.startsWith("/") ? 1 : 0);
  return {
    matches: (path) => {
      const expression = automaton();
      return path.startsWith(literal) && path.endsWith(last) && matchesAll(expression, path);
    },
    couldMatchBeyond: (prefix) =>
      (prefix.startsWith(literal) || literal.startsWith(prefix)) && couldMatchBeyond(automaton(), prefix),
  };
}
