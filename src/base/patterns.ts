import { lazy } from "./lazy.js";
import { compilePattern, type PathPattern } from "./path-pattern.js";
import { createPathIndex, type PathIndex } from "./pattern-index.js";

/** What a walker keeps of a directory to match what is below it. */
export interface MatchState {
  /** The patterns that matched the directory or one above it, by number, rising. */
  readonly matched: readonly number[];
}

/**
 * Ordered patterns as in `.dockerignore`: `**`, exceptions with `!`, and a pattern that matches a directory matches all
 * below it. The rules are those of github.com/moby/patternmatcher. A pattern that is well-formed as a wildcard, but not as
 * the regular expression that moby makes of it, throws `invalid` when a path is first compared with it, as there.
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
  /** Whether a pattern that is no exception could match something below the directory PATH. */
  mayMatchBelow(path: string): boolean;
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
  for (const line of patterns) {
    const trimmed = trimSpace(line);
    if (trimmed === "") continue;
    const cleaned = cleanPath(trimmed);
    if (cleaned === "!") return { ok: false, error: 'illegal exclusion pattern: "!"' };
    const isException = cleaned.startsWith("!");
    const text = isException ? cleaned.slice(1) : cleaned;
    const pattern = compilePattern(text);
    if (pattern === undefined) return { ok: false, error: "syntax error in pattern" };
    compiled.push({ pattern, isException });
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

/** TEXT without what Go's `strings.TrimSpace` takes for white space at its ends: other than `trim`, U+0085, and no U+FEFF. */
export function trimSpace(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && SPACE.test(text[start] ?? "")) start++;
  while (start < end && SPACE.test(text[end - 1] ?? "")) end--;
  return text.slice(start, end);
}

const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

interface Pattern {
  readonly pattern: PathPattern;
  readonly isException: boolean;
}

/** Of no more patterns than these, each is looked at. */
const FEW_PATTERNS = 32;

class OrderedPatterns implements PatternMatcher {
  readonly hasExceptions: boolean;
  readonly #patterns: readonly Pattern[];
  readonly #numbers: readonly number[];
  readonly #all = lazy(() => this.#indexOf(() => true));
  readonly #exceptions = lazy(() => this.#indexOf(({ isException }) => isException));
  readonly #others = lazy(() => this.#indexOf(({ isException }) => !isException));

  constructor(patterns: readonly Pattern[]) {
    this.#patterns = patterns;
    this.#numbers = patterns.map((_, n) => n);
    this.hasExceptions = patterns.some((each) => each.isException);
  }

  get patterns(): readonly string[] {
    return this.#patterns.map(({ pattern, isException }) => (isException ? `!${pattern.text}` : pattern.text));
  }

  matches(path: string): boolean {
    return this.step(path, undefined).matched;
  }

  step(path: string, parent: MatchState | undefined): { readonly matched: boolean; readonly state: MatchState } {
    const paths = parent ? [path] : pathAndParents(path);
    const inherited = parent?.matched ?? [];
    const candidates = this.#patterns.length <= FEW_PATTERNS ? this.#numbers : this.#all().candidates(paths);
    const state: number[] = [];
    let matched = false;
    let next = 0;
    const look = (n: number, isInherited: boolean) => {
      const { pattern, isException = false } = this.#patterns[n] ?? {};
      if (!isInherited && (isException !== matched || !paths.some((each) => pattern?.matches(each)))) return;
      matched = !isException;
      state.push(n);
    };
    for (const n of candidates) {
      for (; (inherited[next] ?? n) < n; next++) look(inherited[next] ?? 0, true);
      const isInherited = inherited[next] === n;
      if (isInherited) next++;
      look(n, isInherited);
    }
    for (const n of inherited.slice(next)) look(n, true);
    return { matched, state: { matched: state } };
  }

  mayExceptBelow(path: string): boolean {
    return this.hasExceptions && this.#exceptions().mayMatchBelow(path);
  }

  mayMatchBelow(path: string): boolean {
    return this.#others().mayMatchBelow(path);
  }

  #indexOf(isWanted: (pattern: Pattern) => boolean): PathIndex {
    return createPathIndex(this.#patterns.filter(isWanted).map(({ pattern }) => pattern));
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
