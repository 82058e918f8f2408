import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cleanPath,
  createPatternMatcher,
  type MatchState,
  matchPath,
  type PatternMatcher,
} from "../../src/base/index.js";

function matcherOf(...patterns: string[]): PatternMatcher {
  const result = createPatternMatcher(patterns);
  if (!result.ok) throw new Error(result.error);
  return result.matcher;
}

/** Walks down to PATH as a walker does, from state to state. */
function stepTo(matcher: PatternMatcher, path: string): boolean {
  let state: MatchState | undefined;
  let matched = false;
  const names = path.split("/");
  for (let n = 1; n <= names.length; n++) ({ matched, state } = matcher.step(names.slice(0, n).join("/"), state));
  return matched;
}

describe("matchPath", () => {
  it.each([
    ["abc", "abc", true],
    ["*", "abc", true],
    ["*c", "abc", true],
    ["a*", "a/b", false],
    ["a*/b", "abc/b", true],
    ["a*b?c*x", "abxbbxdbxebxczzx", true],
    ["a*b?c*x", "abxbbxdbxebxczzy", false],
    ["ab[c]", "abc", true],
    ["ab[b-d]", "abc", true],
    ["ab[^b-d]", "abc", false],
    ["ab[^e-g]", "abc", true],
    ["a\\*b", "a*b", true],
    ["a\\*b", "ab", false],
    ["a?b", "a☺b", true],
    ["a?b", "a/b", false],
    ["[a-ζ]*", "α", true],
    ["[\\]a]", "]", true],
    ["[\\-x]", "x", true],
    ["**", "a/b", false],
    ["[]a]", "]", "bad-pattern"],
    ["[-]", "-", "bad-pattern"],
    ["[x-]", "x", "bad-pattern"],
    ["[-x]", "x", "bad-pattern"],
    ["[", "a", "bad-pattern"],
    ["[^", "a", "bad-pattern"],
    ["[^bc", "a", "bad-pattern"],
    ["a[", "ab", "bad-pattern"],
    ["a\\", "a", "bad-pattern"],
  ] as const)("%s on %s: %s", (pattern, path, expected) => {
    expect(matchPath(pattern, path)).toBe(expected);
  });
});

describe("ordered patterns", () => {
  it.each([
    ["**", "file", true],
    ["**", "dir/file", true],
    ["**/", "file", true],
    ["**/**", "dir/file", true],
    ["dir/**", "dir/file", true],
    ["dir/**", "dir/a/b", true],
    ["dir/**", "dir", false],
    ["**/dir2/*", "dir/dir2/file", true],
    ["**/dir2/*", "dir/dir2/dir2/file", true],
    ["**/dir2/**", "dir/dir2/dir2/file", true],
    ["**file", "file", true],
    ["**file", "dir/otherfile", true],
    ["**/file", "dir/file", true],
    ["**/file", "file", true],
    ["**/file", "otherfile", false],
    ["**/file*", "dir/dir/file.txt", true],
    ["**/file*txt", "dir/dir/file.txt", true],
    ["**/*/a.txt", "a.txt", false],
    ["a/**/z", "a/z", true],
    ["a/**/z", "a/b/c/z", true],
    ["a**/z", "abc/z", true],
    ["dir", "dir/below/it", true],
    ["dir", "directory", false],
    ["a[b-d]e", "ace", true],
    ["a[^b-d]e", "ace", false],
    [".*", ".env", true],
    [".*", "sub/.env", false],
    ["x.y", "xzy", false],
    ["a(b)|{c}$", "a(b)|{c}$", true],
    ["\\!bang", "!bang", true],
    ["star\\*", "star*", true],
    ["star\\*", "starry", false],
    [" spaced ", "spaced", true],
    ["up/../clean", "clean", true],
    ["trail/", "trail/f", true],
  ] as const)("%s on %s: %s", (pattern, path, expected) => {
    const matcher = matcherOf(pattern);
    expect(matcher.matches(path)).toBe(expected);
    expect(stepTo(matcher, path)).toBe(expected);
  });

  it("let the last one that matches decide", () => {
    const matcher = matcherOf("*.md", "!README*.md", "README-secret.md");
    expect(["a.md", "README.md", "README-secret.md", "x"].map((path) => matcher.matches(path))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(matcher.hasExceptions).toBe(true);
    expect(matcher.patterns).toEqual(["*.md", "!README*.md", "README-secret.md"]);
  });

  it("include again below an excluded directory", () => {
    const matcher = matcherOf("*", "!src", "src/**/*_test.c");
    expect(stepTo(matcher, "src/p/b.c")).toBe(false);
    expect(stepTo(matcher, "src/p/b_test.c")).toBe(true);
    expect(stepTo(matcher, "lib/b.c")).toBe(true);
  });

  it.each([
    [["dir"], "dir", false],
    [["dir", "!dir/sub/file"], "dir", true],
    [["dir", "!dir/sub/file"], "dir/sub", true],
    [["dir", "!dir/sub/file"], "dir/other", false],
    [["dir", "!other/file"], "dir", false],
    [["dir", "!*/file"], "dir", true],
    [["dir", "!*/file"], "dir/sub", false],
    [["dir", "!**/file"], "dir/sub", true],
    [["dir", "!di*"], "dir", false],
    [["dir", "!dir/**"], "dir/sub", true],
    [["dir", "!d?r/[s]ub/f"], "dir/sub", true],
  ] as const)("%j must be walked in %s: %s", (patterns, directory, expected) => {
    expect(matcherOf(...patterns).mayExceptBelow(directory)).toBe(expected);
  });

  it("refuse what is no pattern", () => {
    expect(createPatternMatcher(["a", "[a"])).toEqual({ ok: false, error: "syntax error in pattern" });
    expect(createPatternMatcher(["!"])).toEqual({ ok: false, error: 'illegal exclusion pattern: "!"' });
    expect(createPatternMatcher(["", "  ", "ok"])).toMatchObject({ ok: true });
  });

  it("take time in proportion to pattern and path alone", () => {
    const matcher = matcherOf(`${"*a".repeat(50)}b`, `**/${"**/".repeat(50)}x`, `!${"a*".repeat(50)}`);
    const started = performance.now();
    for (let n = 0; n < 20; n++) matcher.matches(`${"a".repeat(250)}/${"a".repeat(250)}`);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

it.each([
  ["", "."],
  [".", "."],
  ["./a//b/../c/", "a/c"],
  ["/../a", "/a"],
  ["../../a/..", "../.."],
  ["/", "/"],
])("cleanPath(%j) is %j", (path, cleaned) => {
  expect(cleanPath(path)).toBe(cleaned);
});

const names = fc.stringMatching(/^[ab]{1,2}$/);
const paths = fc.array(names, { minLength: 1, maxLength: 3 }).map((list) => list.join("/"));
const segments = fc.oneof(
  fc.stringMatching(/^[ab*?]{1,3}$/).filter((text) => !text.includes("**")),
  fc.constant("**"),
);
const patterns = fc.array(segments, { minLength: 1, maxLength: 3 }).map((list) => list.join("/"));
const exceptions = fc.tuple(fc.boolean(), patterns).map(([except, pattern]) => (except ? `!${pattern}` : pattern));

/** Tries every way to match, name by name. */
function naive(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  if (first === "**") {
    if (rest.length === 0) return path.length > 0;
    return path.some((_, n) => naive(rest, path.slice(n)));
  }
  const [name, ...below] = path;
  if (name === undefined) return false;
  const regexp = new RegExp(`^${first.replaceAll("*", ".*").replaceAll("?", ".")}$`);
  return regexp.test(name) && naive(rest, below);
}

function naiveWithParents(pattern: string, path: string): boolean {
  const list = path.split("/");
  return list.some((_, n) => naive(pattern.split("/"), list.slice(0, n + 1)));
}

it("one pattern agrees with a naive model", () => {
  fc.assert(
    fc.property(patterns, paths, (pattern, path) => {
      expect(matcherOf(pattern).matches(path)).toBe(naiveWithParents(pattern, path));
    }),
    { numRuns: 1000 },
  );
});

it("the last match decides, as in a naive model", () => {
  fc.assert(
    fc.property(fc.array(exceptions, { maxLength: 4 }), paths, (list, path) => {
      const last = list.findLast((pattern) => naiveWithParents(pattern.replace(/^!/, ""), path));
      expect(matcherOf(...list).matches(path)).toBe(last !== undefined && !last.startsWith("!"));
    }),
    { numRuns: 1000 },
  );
});

it("a walk that skips directories where nothing can be excepted finds the same as one that doesn't", () => {
  fc.assert(
    fc.property(fc.array(exceptions, { maxLength: 4 }), paths, (list, path) => {
      const matcher = matcherOf(...list);
      const namesOfPath = path.split("/");
      let state: MatchState | undefined;
      for (let n = 1; n < namesOfPath.length; n++) {
        const directory = namesOfPath.slice(0, n).join("/");
        const step = matcher.step(directory, state);
        state = step.state;
        if (step.matched && !matcher.mayExceptBelow(directory)) {
          expect(stepTo(matcher, path)).toBe(true);
          return;
        }
      }
    }),
    { numRuns: 1000 },
  );
});

it("a walk agrees with looking at the whole path where there are no exceptions", () => {
  fc.assert(
    fc.property(fc.array(patterns, { maxLength: 4 }), paths, (list, path) => {
      const matcher = matcherOf(...list);
      expect(stepTo(matcher, path)).toBe(matcher.matches(path));
    }),
  );
});
