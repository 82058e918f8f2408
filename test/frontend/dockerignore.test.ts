import fc from "fast-check";
import { expect, it } from "vitest";
import { createPatternMatcher, messageOf, type PatternMatcher } from "../../src/base/index.js";
import { parseDockerignore } from "../../src/frontend/dockerignore/index.js";

it("leaves out comments and blank lines, and cleans what is left", () => {
  const text =
    "\ufeff# comment\r\n\n  \t\n/lead\ntrail/\n ./dot/./f \nup/../clean\n!  /kept/\n!\n #not a comment\n\\#hash\n/\n../out\n";
  expect(parseDockerignore(text)).toEqual([
    "lead",
    "trail",
    "dot/f",
    "clean",
    "!kept",
    "!",
    "#not a comment",
    "\\#hash",
    "/",
    "../out",
  ]);
});

it("a byte order mark may stand before a pattern", () => {
  expect(parseDockerignore("\ufefffile")).toEqual(["file"]);
});

it("reads what moby's tests do", () => {
  const text = "test1\n/test2\n/a/file/here\n\nlastfile\n# this is a comment\n! /inverted/abs/path\n!\n! ";
  expect(parseDockerignore(text)).toEqual([
    "test1",
    "test2",
    "a/file/here",
    "lastfile",
    "!inverted/abs/path",
    "!",
    "!",
  ]);
});

it("takes white space, comments and byte order marks for what Go takes them for", () => {
  expect(parseDockerignore("\ufeff#c\n\ufeffb\n\u0085n\u00a0\n  #x\n!#y\n! ./z/\n/\n//\n.\n! .")).toEqual([
    "\ufeffb",
    "n",
    "#x",
    "!#y",
    "!z",
    "/",
    "/",
    ".",
    "!.",
  ]);
});

it("reads a megabyte of short lines, and refuses a line that is longer than BuildKit reads", () => {
  expect(parseDockerignore("a/b/*.c\n".repeat(131_072))).toHaveLength(131_072);
  expect(parseDockerignore(`x\n${"a".repeat(65_535)}\ny`)).toHaveLength(3);
  expect(() => parseDockerignore(`x\n${"a".repeat(65_536)}\ny`)).toThrow(
    "line 2 of the ignore file is longer than 65535 bytes",
  );
  expect(() => parseDockerignore("é".repeat(32_768))).toThrow("line 1");
});

it("reads anything, and the matcher takes or refuses it", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."!#/.*[]^-\\ab \n\r\t?") }), (text) => {
      const result = createPatternMatcher(parseDockerignore(text));
      if (!result.ok) expect(["syntax error in pattern", 'illegal exclusion pattern: "!"']).toContain(result.error);
      else expect(matchOrError(result.matcher, "a/b")).toMatch(/^(true|false|syntax error in pattern ".*")$/s);
    }),
    { numRuns: 1000 },
  );
});

function matchOrError(matcher: PatternMatcher, path: string): string {
  try {
    return String(matcher.matches(path));
  } catch (error) {
    return messageOf(error);
  }
}
