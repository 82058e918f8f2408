import { quote } from "../quote.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** Two stages of one name, in whatever case. */
export const duplicateStageName: Rule = {
  name: "DuplicateStageName",
  description: "Stage names should be unique",
  url: ruleUrl("duplicate-stage-name"),
  phase: "names",
  *check(context) {
    const seen = new Set<string>();
    for (const from of context.froms) {
      const name = from.name?.text.toLowerCase();
      if (name === undefined) continue;
      if (seen.has(name)) {
        const message = `Duplicate stage name ${quote(name)}, stage names should be unique`;
        yield finding(from, message, { culprit: from.name?.range });
      }
      seen.add(name);
    }
  },
};
