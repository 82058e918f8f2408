import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cleanPath,
  createPatternMatcher,
  type MatchState,
  type PatternMatcher,
  trimSpace,
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

  // From the tests of github.com/moby/patternmatcher, which has them for whole paths and for walks.
  it.each([
    ["**", "file file/ dir/file dir/file/ /", ""],
    ["**/", "file file/ dir/file dir/file/ /", ""],
    ["**/**", "dir/file dir/file/", ""],
    ["dir/**", "dir/file dir/file/ dir/dir2/file dir/dir2/file/", ""],
    ["**/dir", "dir dir/file", ""],
    ["**/dir2/*", "dir/dir2/file dir/dir2/file/", ""],
    ["**/dir2/**", "dir/dir2/dir3/file dir/dir2/dir3/file/", ""],
    ["**file", "file dir/file dir/dir/file", ""],
    ["**/file", "dir/file dir/dir/file", ""],
    ["**/file*", "dir/dir/file dir/dir/file.txt", ""],
    ["**/file*txt", "dir/dir/file.txt", ""],
    ["**/file*.txt", "dir/dir/file.txt", ""],
    ["**/file*.txt*", "dir/dir/file.txt", ""],
    ["**/**/*.txt", "dir/dir/file.txt file.txt", ""],
    ["**/**/*.txt2", "", "dir/dir/file.txt"],
    ["**/*.txt", "file.txt", ""],
    ["a**/*.txt", "a/file.txt a/dir/file.txt a/dir/dir/file.txt", ""],
    ["a/*.txt", "a/file.txt", "a/dir/file.txt"],
    ["a/*.txt**", "a/file.txt", ""],
    ["a[b-d]e", "ace", "ae aae"],
    ["a[^b-d]e", "aze", ""],
    [".*", ".foo", "foo"],
    ["abc.def", "abc.def", "abcdef abcZdef"],
    ["abc?def", "abcZdef", "abcdef"],
    ["a\\\\", "a\\", ""],
    ["**/foo/bar", "foo/bar dir/foo/bar dir/dir2/foo/bar", ""],
    ["abc/**", "abc/def abc/def/ghi", "abc"],
    ["**/.foo", ".foo", "bar.foo"],
    ["a(b)c/def", "a(b)c/def", "a(b)c/xyz"],
    ["a.|)$(}+{bc", "a.|)$(}+{bc", ""],
    [
      "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
      "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
      "",
    ],
    ["dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", ""],
    ["a\\*b", "a*b", ""],
    ["** !util/docker/web", "", "util/docker/web/foo"],
    ["** !util/docker/web util/docker/web/foo", "util/docker/web/foo", ""],
    ["** !dist/*.whl", "", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"],
    ["*", "fileutils.go", ""],
    ["*.go", "fileutils.go", "."],
    ["!fileutils.go *.go", "fileutils.go", ""],
    ["*.go !fileutils.go", "", "fileutils.go"],
    ["docs !docs/README.md", "", "docs/README.md"],
    ["docs/ !docs/README.md", "", "docs/README.md"],
    ["docs/* !docs/README.md", "", "docs/README.md"],
    ["", "", "/any/path/there"],
    // Those it has from Go's tests of filepath.Match; a pattern that matches a directory matches what is in it.
    ["a*", "a abc ab/c", ""],
    ["a*/b", "abc/b", "a/c/b"],
    ["a*b*c*d*e*/f", "axbxcxdxe/f axbxcxdxexxx/f", "axbxcxdxe/xxx/f axbxcxdxexxx/fff"],
    ["a*b?c*x", "abxbbxdbxebxczzx", "abxbbxdbxebxczzy"],
    ["ab[c]", "abc", ""],
    ["ab[b-d]", "abc", ""],
    ["ab[e-g]", "", "abc"],
    ["ab[^c]", "", "abc"],
    ["ab[^b-d]", "", "abc"],
    ["ab[^e-g]", "abc", ""],
    ["a?b", "a☺b", "a/b"],
    ["a[^a]b", "a☺b", ""],
    ["a???b", "", "a☺b"],
    ["a[^a][^a][^a]b", "", "a☺b"],
    ["[a-ζ]*", "α", ""],
    ["*[a-ζ]", "", "A"],
    ["a*b", "", "a/b"],
    ["[\\]a]", "]", ""],
    ["[\\-]", "-", ""],
    ["[x\\-]", "x -", "z"],
    ["[\\-x]", "x -", "a"],
    ["*x", "xxx", ""],
  ])("%s matches %j and not %j", (patternList, matched, others) => {
    const matcher = matcherOf(...patternList.split(" "));
    for (const [paths, expected] of [
      [matched, true],
      [others, false],
    ] as const) {
      for (const path of paths.split(" ").filter(Boolean)) {
        expect([path, matcher.matches(path)]).toEqual([path, expected]);
        if (!path.startsWith("/") && !path.endsWith("/"))
          expect([path, stepTo(matcher, path)]).toEqual([path, expected]);
      }
    }
  });

  it.each(["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a["])("%s is no pattern", (pattern) => {
    expect(createPatternMatcher([pattern])).toEqual({ ok: false, error: "syntax error in pattern" });
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

  it("match patterns on which a regular expression that tries one way after the other would hang", () => {
    const matcher = matcherOf(
      `${"*a".repeat(50)}b`,
      `**/${"**/".repeat(50)}x`,
      `${"a*".repeat(50)}c`,
      `${"[^b]*".repeat(50)}d`,
    );
    expect(matcher.matches(`${"a".repeat(250)}/${"a".repeat(250)}`)).toBe(false);
  });

  it("are read in any number, and only those that might match are looked at", () => {
    const many = Array.from({ length: 100_000 }, (_, n) => (n % 2 === 0 ? `dir${n}/file` : `!dir${n}/*.txt`));
    const matcher = matcherOf("dir*", ...many);
    for (let n = 0; n < 200; n++) expect(matcher.matches(`dir${n}/a.txt`)).toBe(n % 2 === 0);
    expect(matcher.mayExceptBelow("dir99999")).toBe(true);
    expect(matcher.mayExceptBelow("dir99998")).toBe(false);
  });

  it.each([
    ["[a-z*]", "b] [] ^^/] ]", "b * *]"],
    ["[x?]y", "x]y []y", "xy ?y [x]y"],
    ["a[**/b]", "a( a. a* a/ a) ab", "axb"],
    ["[[:alpha:]]1", "b1", ":1 a]1 [1"],
    ["[[:^digit:]]x", "ax", "1x"],
    ["v\\d", "v7", "vd"],
    ["v\\D", "vd", "v7"],
    ["v[\\w.]", "v_ v. vx", "v-"],
    ["dir\\file", "dir\file", "dirfile"],
    ["t\\tx", "t\tx", "ttx"],
    ["x\\x41", "xA", "xx41"],
    ["x\\101*", "xAb", "x101"],
    ["x\\pL?", "xéa", "x1a"],
    ["a^b*", "", "a^b a^bc"],
    ["^a*", "a ab", "^a"],
    ["a\\zb", "", "azb ab"],
    ["a\\b/*", "a/x", "ab/x"],
    ["dir\\Query", "diruery$ diruery$more", "dirQuery"],
    ["dir\\Q*\\E?", "dir[^/]*b", "dir*b dirab"],
    ["a]b*", "a]bc", ""],
    ["**/x*", "a\u2028b/x", "a\nb/y"],
    ["\\é*", "", ""],
  ])("mean what moby's regular expressions make of them: %s matches %j and not %j", (pattern, matched, others) => {
    if (pattern === "\\é*") return expect(() => matcherOf(pattern).matches("é")).toThrow("syntax error in pattern");
    const matcher = matcherOf(pattern);
    const matches = (paths: string) =>
      paths
        .split(" ")
        .filter(Boolean)
        .map((path) => [path, matcher.matches(path)]);
    expect(matches(matched)).toEqual(matches(matched).map(([path]) => [path, true]));
    expect(matches(others)).toEqual(matches(others).map(([path]) => [path, false]));
    return undefined;
  });

  it.each([
    "[Local-Only]",
    "src\\packages",
    "x\\1",
    "x\\x4",
    "x\\y",
    "[[:nope:]]",
    "[[:alpha:]",
    "\\C",
    "x[z-a]",
    "x\\pX",
  ])("%s is a wildcard, but fails as soon as a path is compared with it", (pattern) => {
    const matcher = matcherOf(pattern);
    expect(() => matcher.matches("y")).toThrow(`syntax error in pattern ${JSON.stringify(pattern)}`);
    expect(() => matcher.step("y", undefined)).toThrow("syntax error in pattern");
    // Nobody asks an exception about what isn't excluded.
    expect(matcherOf(`!${pattern}`).matches("y")).toBe(false);
  });

  it("stand between a newline's neighbours only as single characters", () => {
    expect(matcherOf("**/x?").matches("a\nb/x1")).toBe(false);
    expect(matcherOf("*/x?").matches("a\nb/x1")).toBe(true);
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

it("trimSpace takes off what Go takes for white space", () => {
  expect(trimSpace(" \t\u0085\u00a0\u3000a b\u2028\r\n")).toBe("a b");
  expect(trimSpace("\ufeffa\u200b")).toBe("\ufeffa\u200b");
  expect(trimSpace(`${" ".repeat(60_000)}x${" ".repeat(60_000)}y`)).toHaveLength(60_002);
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
