import { type Rule, ruleUrl } from "./rule.js";

/** An empty line within a continued instruction. */
export const noEmptyContinuation: Rule = {
  name: "NoEmptyContinuation",
  description: "Empty continuation lines will become errors in a future release",
  url: ruleUrl("no-empty-continuation"),
  phase: "read",
  *check({ emptyContinuations }) {
    for (const line of emptyContinuations) {
      const place = { line, character: 0 };
      yield { message: "Empty continuation line", range: { start: place, end: place }, at: undefined };
    }
  },
};
