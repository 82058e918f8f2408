import { finding, type Rule, ruleUrl } from "./rule.js";

/** `FROM … AS Name`. */
export const stageNameCasing: Rule = {
  name: "StageNameCasing",
  description: "Stage names should be lowercase",
  url: ruleUrl("stage-name-casing"),
  phase: "parse",
  *check(context) {
    for (const from of context.froms) {
      const name = from.name?.text;
      if (name !== undefined && name !== name.toLowerCase()) {
        yield finding(from, `Stage name '${name}' should be lowercase`, { culprit: from.name?.range });
      }
    }
  },
};
