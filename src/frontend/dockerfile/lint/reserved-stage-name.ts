import { quote } from "../quote.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

const RESERVED: ReadonlySet<string> = new Set(["context", "scratch"]);

/** `FROM … AS scratch`. */
export const reservedStageName: Rule = {
  name: "ReservedStageName",
  description: "Reserved words should not be used as stage names",
  url: ruleUrl("reserved-stage-name"),
  phase: "names",
  *check(context) {
    for (const from of context.froms) {
      const name = from.name?.text.toLowerCase();
      if (name === undefined || !RESERVED.has(name)) continue;
      const message = `Stage name should not use the same name as reserved stage ${quote(name)}`;
      yield finding(from, message, { culprit: from.name?.range });
    }
  },
};
