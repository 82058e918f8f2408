import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileWildcard } from "../../src/base/index.js";

function bytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function matches(pattern: string, path: string): boolean | "bad-pattern" {
  const wildcard = compileWildcard(pattern);
  return wildcard ? wildcard.matches(bytes(path)) : "bad-pattern";
}

// Go's own table (path/filepath, TestMatch), and corners of its algorithm.
describe("Go's filepath.Match", () => {
  it.each([
    ["abc", "abc", true],
    ["*", "abc", true],
    ["*c", "abc", true],
    ["a*", "a", true],
    ["a*", "abc", true],
    ["a*", "ab/c", false],
    ["a*/b", "abc/b", true],
    ["a*/b", "a/c/b", false],
    ["a*b*c*d*e*/f", "axbxcxdxe/f", true],
    ["a*b*c*d*e*/f", "axbxcxdxexxx/f", true],
    ["a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false],
    ["a*b*c*d*e*/f", "axbxcxdxexxx/fff", false],
    ["a*b?c*x", "abxbbxdbxebxczzx", true],
    ["a*b?c*x", "abxbbxdbxebxczzy", false],
    ["ab[c]", "abc", true],
    ["ab[b-d]", "abc", true],
    ["ab[e-g]", "abc", false],
    ["ab[^c]", "abc", false],
    ["ab[^b-d]", "abc", false],
    ["ab[^e-g]", "abc", true],
    ["a\\*b", "a*b", true],
    ["a\\*b", "ab", false],
    ["a?b", "a☺b", true],
    ["a[^a]b", "a☺b", true],
    ["a???b", "a☺b", false],
    ["a[^a][^a][^a]b", "a☺b", false],
    ["[a-ζ]*", "α", true],
    ["*[a-ζ]", "A", false],
    ["a?b", "a/b", false],
    ["a*b", "a/b", false],
    ["[\\]a]", "]", true],
    ["[\\-]", "-", true],
    ["[x\\-]", "x", true],
    ["[x\\-]", "-", true],
    ["[x\\-]", "z", false],
    ["[\\-x]", "x", true],
    ["[\\-x]", "-", true],
    ["[\\-x]", "a", false],
    ["[]a]", "]", "bad-pattern"],
    ["[-]", "-", "bad-pattern"],
    ["[x-]", "x", "bad-pattern"],
    ["[x-]", "z", "bad-pattern"],
    ["[-x]", "x", "bad-pattern"],
    ["[-x]", "a", "bad-pattern"],
    ["\\", "a", "bad-pattern"],
    ["[a-b-c]", "a", "bad-pattern"],
    ["[", "a", "bad-pattern"],
    ["[^", "a", "bad-pattern"],
    ["[^bc", "a", "bad-pattern"],
    ["a[", "a", "bad-pattern"],
    ["a[", "ab", "bad-pattern"],
    ["a[", "x", "bad-pattern"],
    ["a/b[", "x", "bad-pattern"],
    ["*x", "xxx", true],
    ["", "", true],
    ["", "a", false],
    ["**", "ab", true],
    ["**", "a/b", false],
    ["a**b", "axxb", true],
    ["[*]", "*", true],
    ["[a*?]", "?", true],
    ["[z-a]", "b", false],
    ["[^z-a]", "b", true],
    ["[[]a", "[a", true],
    ["a]", "a]", true],
    ["a\\/b", "a/b", true],
    ["a[^x]b", "a/b", true],
    ["a[.-0]b", "a/b", true],
    ["[\\☺]", "☺", true],
    ["\\☺", "☺", true],
    ["??", "é😀", true],
    // The first place where what is behind a star fits is the only one that is tried.
    ["*[^x]*b", "a/b", false],
    // A star goes on by bytes, so the parts of a character count as characters.
    ["*??", "☺", true],
  ] as const)("%s on %s: %s", (pattern, path, expected) => {
    expect(matches(pattern, path)).toBe(expected);
  });

  it("takes bytes that are no UTF-8 for a character each", () => {
    const two = compileWildcard("a??");
    expect(two?.matches("a\xff\xe2")).toBe(true);
    expect(compileWildcard("a[\ufffd]?")?.matches("a\xc0\x80")).toBe(true);
    expect(compileWildcard("?")?.matches("\xed\xa0\x80")).toBe(false);
  });

  it("tells how many slashes a match may have", () => {
    const facts = (pattern: string) => {
      const wildcard = compileWildcard(pattern);
      return [wildcard?.mostSlashes, wildcard?.crossesSlashes];
    };
    expect(facts("*/a?[b-z]")).toEqual([1, false]);
    expect(facts("[^.]*")).toEqual([1, true]);
    expect(facts("a/[.-9][^a]")).toEqual([3, true]);
    expect(facts("[^/]")).toEqual([0, false]);
  });
});

/** Tries every way; without classes that match a slash, the first place is as good as any. */
function naive(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  const [head, ...tail] = path;
  if (first === "*") return naive(rest, path) || (head !== undefined && head !== "/" && naive(pattern, tail));
  if (head === undefined) return false;
  if (first === "?") return head !== "/" && naive(rest, tail);
  return first === head && naive(rest, tail);
}

it("agrees with a naive model", () => {
  const pattern = fc.array(fc.constantFrom("a", "b", "/", "*", "?"), { maxLength: 8 });
  const path = fc.array(fc.constantFrom("a", "b", "/"), { maxLength: 8 });
  fc.assert(
    fc.property(pattern, path, (tokens, characters) => {
      expect(matches(tokens.join(""), characters.join(""))).toBe(naive(tokens, characters));
    }),
    { numRuns: 3000 },
  );
});

it("takes any pattern or refuses it, and never hangs", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."a[]^-\\*?/é") }),
      fc.string({ unit: "binary" }),
      (pattern, path) => {
        expect([true, false, "bad-pattern"]).toContain(matches(pattern, path));
      },
    ),
    { numRuns: 2000 },
  );
  expect(matches(`${"*a".repeat(2_000)}b`, "a".repeat(4_000))).toBe(false);
});
