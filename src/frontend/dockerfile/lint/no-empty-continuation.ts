import type { Range } from "../ast.js";
import { leadingSpace } from "../blanks.js";
import { type Rule, ruleUrl } from "./rule.js";

/** An empty line within a continued instruction. */
export const noEmptyContinuation: Rule = {
  name: "NoEmptyContinuation",
  description: "Empty continuation lines will become errors in a future release",
  url: ruleUrl("no-empty-continuation"),
  phase: "read",
  *check({ emptyContinuations, lines }) {
    for (const line of emptyContinuations) {
      const place = { line, character: 0 };
      const culprit = emptyLine(lines(), line);
      yield { message: "Empty continuation line", range: { start: place, end: place }, at: undefined, culprit };
    }
  },
};

/** The last empty line up to LINE, with its line end: there is one, in the same instruction. */
function emptyLine(lines: readonly string[], line: number): Range {
  let empty = line;
  while (empty > 1 && !isBlank(lines[empty - 1] ?? "")) empty--;
  return { start: { line: empty, character: 0 }, end: { line: empty + 1, character: 0 } };
}

function isBlank(line: string): boolean {
  return leadingSpace(line) === line.length;
}
