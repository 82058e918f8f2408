import fc from "fast-check";
import { describe, expect, it } from "vitest";
// The functions under test are no part of the folder's face: what uses them is.
import { expandWord } from "../../src/frontend/dockerfile/expand.js";
import { quote } from "../../src/frontend/dockerfile/quote.js";
import { expandByModel } from "./expansion-model.js";

const ENV: ReadonlyMap<string, string> = new Map([
  ["A", "a/b.tar.gz"],
  ["B", ""],
  ["AB", "$A 'q' \"d\" \\"],
  ["é", "accent"],
  ["N", "aXbXa\nXa"],
  ["S", "*?a*"],
]);

const name = fc.constantFrom("A", "B", "C", "AB", "é", "N", "S", "1", "0", "@", "-", "A1");
const plain = fc.constantFrom(
  "a",
  "b",
  "X",
  ".",
  " ",
  "é",
  "}",
  "/",
  "*",
  "?",
  "\\*",
  "\\?",
  "\\}",
  "\\/",
  "\\\\",
  "\n",
  "<<",
  "",
  "tar",
);
const noise = fc
  .array(fc.constantFrom(..."$", "{", ..."}:-+?#%/\\'\"`abAB_1*?. <é"), { maxLength: 14 })
  .map((characters) => characters.join(""));

/** Words with operators in each other, well formed but for what stands in them. */
const word: fc.Arbitrary<string> = fc.letrec<{ word: string; part: string }>((tie) => ({
  word: fc.array(tie("part"), { maxLength: 4 }).map((parts) => parts.join("")),
  part: fc.oneof(
    { depthSize: "small" },
    plain,
    name.map((variable) => `$${variable}`),
    name.map((variable) => `\${${variable}}`),
    fc.tuple(fc.constantFrom("'", '"'), tie("word")).map(([quote, inner]) => quote + inner + quote),
    fc
      .tuple(name, fc.constantFrom("-", "+", "?", ":-", ":+", ":?", "#", "##", "%", "%%", "=", ":#"), tie("word"))
      .map(([variable, operator, inner]) => `\${${variable}${operator}${inner}}`),
    fc
      .tuple(name, fc.constantFrom("/", "//"), tie("word"), tie("word"))
      .map(([variable, operator, pattern, by]) => `\${${variable}${operator}${pattern}/${by}}`),
  ),
})).word;

function outcome(expand: () => string): { readonly value: string } | { readonly error: string } {
  try {
    return { value: expand() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

describe("expansion agrees with a model of it", () => {
  it.each([
    ["words of operators in each other", word],
    ["noise", noise],
    ["both", fc.tuple(noise, word, noise).map((parts) => parts.join(""))],
  ])("on %s", (_, texts) => {
    fc.assert(
      fc.property(texts, fc.constantFrom("\\" as const, "`" as const), (text, escapeCharacter) => {
        const result = expandWord(text, ENV, escapeCharacter);
        const expected = outcome(() => expandByModel(text, ENV, escapeCharacter));
        if (result.ok) expect({ value: result.value }).toEqual(expected);
        else expect({ error: result.error.replace(`failed to process ${quote(text)}: `, () => "") }).toEqual(expected);
      }),
      { numRuns: 3_000 },
    );
  });
});
