/** Whether PATH matches PATTERN as Go's `filepath.Match` has it, or that the pattern is malformed. Linear; never throws. */
export declare function matchPath(pattern: string, path: string): boolean | "bad-pattern";

/** What a walker keeps of a directory to match what is below it. */
export interface MatchState {
  /** Per pattern, whether it matched the directory or one above it. */
  readonly matched: readonly boolean[];
}

/** Ordered patterns as in `.dockerignore`: `**`, exceptions with `!`, and a pattern that matches a directory matches all below it. */
export interface PatternMatcher {
  /** The patterns as cleaned, exceptions with their `!`. */
  readonly patterns: readonly string[];
  readonly hasExceptions: boolean;
  /** Whether PATH (relative, `/` between names) or a directory above it matches, the last pattern that does deciding. */
  matches(path: string): boolean;
  /** The same for a walker that has PARENT from its directory (undefined at the top). */
  step(path: string, parent: MatchState | undefined): { readonly matched: boolean; readonly state: MatchState };
  /** Whether an exception could match something below the directory PATH, so that it must be walked though it matches. */
  mayExceptBelow(path: string): boolean;
}

export type PatternMatcherResult =
  | { readonly ok: true; readonly matcher: PatternMatcher }
  | { readonly ok: false; readonly error: string };

/** Reads PATTERNS in order; blank ones are left out. Errors: `syntax error in pattern`, `illegal exclusion pattern: "!"`. */
export declare function createPatternMatcher(patterns: readonly string[]): PatternMatcherResult;
