import { describe, expect, it } from "vitest";
import { type FlagShape, firstOperand, normalizeWords } from "../../src/cli/argv.js";

const flags: readonly FlagShape[] = [
  { long: "--pull", takesValue: false },
  { short: "-q", long: "--quiet", takesValue: false },
  { short: "-t", long: "--tag", takesValue: true },
];

describe("docker's ways to write a flag", () => {
  it.each<[readonly string[], readonly string[]]>([
    [
      ["--pull=true", "."],
      ["--pull", "."],
    ],
    [["--pull=false", "."], ["."]],
    [["-q=1"], ["-q"]],
    [
      ["-t=name", "."],
      ["-t", "name", "."],
    ],
    [["--tag=a=b"], ["--tag", "a=b"]],
    [
      ["-t", "--pull=false"],
      ["-t", "--pull=false"],
    ],
    [
      ["--unknown=x", "."],
      ["--unknown=x", "."],
    ],
    [
      ["--", "--pull=false"],
      ["--", "--pull=false"],
    ],
    [["-t"], ["-t"]],
  ])("%j is %j", (words, expected) => expect(normalizeWords(words, flags, false)).toEqual(expected));

  it("leaves the words of a command to be run alone", () => {
    expect(normalizeWords(["-q=true", "image", "--pull=false"], flags, true)).toEqual(["-q", "image", "--pull=false"]);
  });

  it("refuses a truth value that is none", () => {
    expect(() => normalizeWords(["--pull=perhaps"], flags, false)).toThrow('invalid value "perhaps" for --pull');
  });

  it("finds the command behind the flags before it", () => {
    expect(firstOperand(["--tag", "build", "-q", "run"], flags)).toBe(3);
    expect(firstOperand(["-q"], flags)).toBe(-1);
  });
});
