import fc from "fast-check";
import { expect, it } from "vitest";
import { createPatternMatcher } from "../../src/base/index.js";
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

it("reads anything, and the matcher takes or refuses it", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."!#/.*[]^-\\ab \n\r\t?") }), (text) => {
      const result = createPatternMatcher(parseDockerignore(text));
      if (result.ok) result.matcher.matches("a/b");
      else expect(["syntax error in pattern", 'illegal exclusion pattern: "!"']).toContain(result.error);
    }),
    { numRuns: 1000 },
  );
});
