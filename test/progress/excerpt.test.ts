import { describe, expect, it } from "vitest";
import { briefExcerpt } from "../../src/progress/excerpt.js";
import { createQuietRenderer, type Summary, sourceExcerpt } from "../../src/progress/index.js";

/** What is shown between the rules. */
function shown(text: string, lines: readonly [number, number], culprit?: readonly [number, number, number, number]) {
  const [startLine, endLine] = lines;
  const [line = 0, character = 0, endingLine = 0, end = 0] = culprit ?? [];
  const words = culprit && { start: { line, character }, end: { line: endingLine, character: end } };
  return sourceExcerpt({ file: "D", text, startLine, endLine, culprit: words }).split("\n").slice(2, -2);
}

describe("an excerpt", () => {
  it("points at the very words", () => {
    expect(shown("FROM a\nRUN --x y\n", [2, 2], [2, 4, 2, 7])).toEqual([
      "   1 |     FROM a",
      "   2 | >>> RUN --x y",
      "     |         ^^^",
      "   3 |     ",
    ]);
  });

  it("points right behind tabs, wide characters and carriage returns", () => {
    expect(shown("RUN \\\r\n\t\t漢字 é --x\r\n", [1, 2], [2, 7, 2, 10]).slice(0, 3)).toEqual([
      "   1 | >>> RUN \\ ",
      "   2 | >>>  漢字 é --x ",
      "     |             ^^^",
    ]);
  });

  it("masks credentials of addresses, and points right behind them", () => {
    const line = "ADD http://usr:pa55w0rd@host/x --y /z";
    const at = line.indexOf("--y");
    expect(shown(line, [1, 1], [1, at, 1, at + 3])).toEqual([
      "   1 | >>> ADD http://xxxxx@host/x --y /z",
      `     |     ${" ".repeat("ADD http://xxxxx@host/x ".length)}^^^`,
    ]);
  });

  it("points up to the end of the line where the words go on in the next", () => {
    expect(shown("CMD [1,\\ \n2]", [1, 2], [1, 4, 2, 2])).toEqual([
      "   1 | >>> CMD [1,\\ ",
      "     |         ^^^^",
      "   2 | >>> 2]",
    ]);
  });

  it("shows the beginning of a line without end", () => {
    const [line = ""] = shown(`RUN ${"x".repeat(100_000)}`, [1, 1]);
    expect(line).toMatch(/^ {3}1 \| >>> RUN x+…$/);
    expect(line.length).toBeLessThan(1100);
  });

  it("points at nothing where that is empty or far to the right", () => {
    expect(shown("FROM a", [1, 1], [1, 6, 1, 6])).toEqual(["   1 | >>> FROM a"]);
    expect(shown(`RUN ${"x".repeat(300)} --y`, [1, 1], [1, 305, 1, 308])).toHaveLength(1);
  });

  it("of a long instruction shows its ends and the lines around the culprit", () => {
    const text = Array.from({ length: 1000 }, (_, index) => `line ${index + 1}`).join("\n");
    const lines = shown(text, [1, 1000], [500, 0, 500, 4]);
    expect(lines.length).toBeLessThan(30);
    expect(lines).toContain("   1 | >>> line 1");
    expect(lines).toContain(" 500 | >>> line 500");
    expect(lines).toContain(" 1000 | >>> line 1000");
    expect(lines.filter((line) => line.endsWith("…"))).toHaveLength(2);
  });
});

describe("further mistakes", () => {
  const source = { file: "D", text: "FRM a\nRNU b", startLine: 2, endLine: 2 };
  const told = (count: number, omitted = 0) => {
    const written: string[] = [];
    const out = { write: (text: string) => written.push(text) };
    const clock = { now: () => 0, after: () => () => {} };
    const further = Array.from({ length: count }, (_, index) => ({ message: `mistake ${index}`, source }));
    const summary: Summary = {
      kind: "failed",
      message: "first",
      source: { ...source, startLine: 1, endLine: 1 },
      further,
      omitted,
    };
    createQuietRenderer(out, { clock }).finish(summary);
    return written.join("");
  };

  it("follow the first, each with its lines, and leave it the last line that is an ERROR", () => {
    const text = told(1);
    expect(text).toContain("ERROR: first\n\nD:2\n");
    expect(text).toContain("   2 | >>> RNU b\n");
    expect(text.endsWith("also: mistake 0\n")).toBe(true);
    expect(text.match(/^ERROR/gm)).toHaveLength(1);
  });

  it("have one line each: that of the very words, or the first", () => {
    const file = "FROM a\nRUN --x \\\n --yy\nRNU b";
    const long = { file: "D", text: file, startLine: 2, endLine: 3 };
    expect(briefExcerpt(long)).toBe("D:2\n   2 | >>> RUN --x \\\n     |     …\n");
    const culprit = { start: { line: 3, character: 1 }, end: { line: 3, character: 5 } };
    expect(briefExcerpt({ ...long, culprit })).toBe("D:3\n   3 | >>>  --yy\n     |      ^^^^\n");
    expect(briefExcerpt({ ...long, startLine: 9, endLine: 9 })).toBe("");
  });

  it("are only counted where there are many", () => {
    expect(told(9)).not.toContain("more");
    expect(told(10).endsWith("\nalso: 1 more mistake\n")).toBe(true);
    expect(told(500).match(/^also: mistake/gm)).toHaveLength(9);
    expect(told(500).endsWith("\nalso: 491 more mistakes\n")).toBe(true);
    expect(told(999, 2000).endsWith("\nalso: 2990 more mistakes\n")).toBe(true);
  });
});
