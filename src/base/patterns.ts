import { compileGlob, couldMatchBeyond, matchesGlob } from "./globs.js";

/**
 * Whether PATH matches PATTERN as Go's `filepath.Match` has it, or that the pattern is malformed. Linear; never throws.
 */
export function matchPath(pattern: string, path: string): boolean | "bad-pattern" {
  const glob = compileGlob(pattern, "two-stars");
  return glob ? matchesGlob(glob, path) : "bad-pattern";
}

/** What a walker keeps of a directory to match what is below it. */
export interface MatchState {
  /** Per pattern, whether it matched the directory or one above it. */
  readonly matched: readonly boolean[];
}

/**
 * Ordered patterns as in `.dockerignore`: `**`, exceptions with `!`, and a pattern that matches a directory matches all
 * below it.
 */
export interface PatternMatcher {
  /** The patterns as cleaned, exceptions with their `!`. */
  readonly patterns: readonly string[];
  readonly hasExceptions: boolean;
  /**
   * Whether PATH (relative, `/` between names) or a directory above it matches, the last pattern that does deciding.
   */
  matches(path: string): boolean;
  /**
   * The same for a walker that has PARENT from its directory (undefined at the top). As in BuildKit, a pattern that
   * could not have changed the outcome for a directory isn't asked about it, nor remembered for what is below: that
   * tells where a pattern repeats one behind an exception.
   */
  step(path: string, parent: MatchState | undefined): { readonly matched: boolean; readonly state: MatchState };
  /**
   * Whether an exception could match something below the directory PATH, so that it must be walked though it matches.
   */
  mayExceptBelow(path: string): boolean;
}

export type PatternMatcherResult =
  | { readonly ok: true; readonly matcher: PatternMatcher }
  | { readonly ok: false; readonly error: string };

/**
 * Reads PATTERNS in order; blank ones are left out. Errors: `syntax error in pattern`, `illegal exclusion pattern:
 * "!"`.
 */
export function createPatternMatcher(patterns: readonly string[]): PatternMatcherResult {
  const compiled: Pattern[] = [];
  for (const pattern of patterns) {
    const text = pattern.trim();
    if (text === "") continue;
    const cleaned = cleanPath(text);
    if (cleaned === "!") return { ok: false, error: 'illegal exclusion pattern: "!"' };
    const isException = cleaned.startsWith("!");
    const matcher = compilePattern(isException ? cleaned.slice(1) : cleaned);
    if (!matcher) return { ok: false, error: "syntax error in pattern" };
    compiled.push({ ...matcher, text: cleaned, isException });
  }
  return { ok: true, matcher: new OrderedPatterns(compiled) };
}

/**
 * The shortest equal path, as Go's `path.Clean` has it: no `.`, no inner `..`, no doubled or trailing slash; `.` for
 * nothing.
 */
export function cleanPath(path: string): string {
  const isRooted = path.startsWith("/");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.length > 0 && names.at(-1) !== "..") names.pop();
    else if (!isRooted) names.push(name);
  }
  if (isRooted) return `/${names.join("/")}`;
  return names.join("/") || ".";
}

interface PathMatcher {
  matches(path: string): boolean;
  /** Whether it could match a path that begins with PREFIX, a directory with its slash, and is longer. */
  couldMatchBeyond(prefix: string): boolean;
}

interface Pattern extends PathMatcher {
  readonly text: string;
  readonly isException: boolean;
}

class OrderedPatterns implements PatternMatcher {
  readonly #patterns: readonly Pattern[];
  readonly #exceptions: readonly Pattern[];

  constructor(patterns: readonly Pattern[]) {
    this.#patterns = patterns;
    this.#exceptions = patterns.filter((pattern) => pattern.isException);
  }

  get patterns(): readonly string[] {
    return this.#patterns.map((pattern) => pattern.text);
  }

  get hasExceptions(): boolean {
    return this.#exceptions.length > 0;
  }

  matches(path: string): boolean {
    const paths = pathAndParents(path);
    let matched = false;
    for (const pattern of this.#patterns) {
      if (pattern.isException !== matched) continue;
      if (paths.some((candidate) => pattern.matches(candidate))) matched = !pattern.isException;
    }
    return matched;
  }

  step(path: string, parent: MatchState | undefined): { readonly matched: boolean; readonly state: MatchState } {
    const paths = parent ? [path] : pathAndParents(path);
    let matched = false;
    const state = this.#patterns.map((pattern, n) => {
      if (!parent?.matched[n]) {
        if (pattern.isException !== matched) return false;
        if (!paths.some((candidate) => pattern.matches(candidate))) return false;
      }
      matched = !pattern.isException;
      return true;
    });
    return { matched, state: { matched: state } };
  }

  mayExceptBelow(path: string): boolean {
    const prefix = path === "" || path === "." ? "" : `${path}/`;
    return this.#exceptions.some((exception) => exception.couldMatchBeyond(prefix));
  }
}

/**
 * How deep a path may be for its parents to be looked at one by one; deeper ones are refused by every file system
 * (PATH_MAX).
 */
const MAX_DEPTH = 4096;

/** PATH and the directories above it. */
function pathAndParents(path: string): readonly string[] {
  const paths = [path];
  for (let slash = path.indexOf("/"); slash >= 0 && paths.length < MAX_DEPTH; slash = path.indexOf("/", slash + 1)) {
    if (slash > 0) paths.push(path.slice(0, slash));
  }
  return paths;
}

/** Undefined where PATTERN is malformed. The plain forms, which most patterns have, need no look at each character. */
function compilePattern(pattern: string): PathMatcher | undefined {
  const glob = compileGlob(pattern, "directories");
  if (!glob) return undefined;
  if (isPlain(pattern)) return exact(pattern);
  if (pattern.startsWith("**") && isPlain(pattern.slice(2))) return ending(pattern.slice(2));
  if (pattern.endsWith("**") && isPlain(pattern.slice(0, -2))) return beginning(pattern.slice(0, -2));
  const literal = /^[^\\[\]*?]*/.exec(pattern)?.[0] ?? "";
  return {
    matches: (path) => path.startsWith(literal) && matchesGlob(glob, path),
    couldMatchBeyond: (prefix) => couldMatchBeyond(glob, prefix),
  };
}

function isPlain(pattern: string): boolean {
  return !/[\\[\]*?]/.test(pattern);
}

function exact(text: string): PathMatcher {
  return {
    matches: (path) => path === text,
    couldMatchBeyond: (prefix) => text.length > prefix.length && text.startsWith(prefix),
  };
}

/** `text**`: everything that begins so. */
function beginning(text: string): PathMatcher {
  return {
    matches: (path) => path.startsWith(text),
    couldMatchBeyond: (prefix) => text.startsWith(prefix) || prefix.startsWith(text),
  };
}

/** `**text`: everything that ends so, within a name too; `**` + `/text` also that name at the top. */
function ending(text: string): PathMatcher {
  return {
    matches: (path) => path.endsWith(text) || (text.startsWith("/") && path === text.slice(1)),
    couldMatchBeyond: () => true,
  };
}
