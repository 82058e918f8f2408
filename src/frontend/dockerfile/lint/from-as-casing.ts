import { finding, type Rule, ruleUrl } from "./rule.js";

/** `FROM … as`, where FROM is of one case and AS of another. */
export const fromAsCasing: Rule = {
  name: "FromAsCasing",
  description: "The 'as' keyword should match the case of the 'from' keyword",
  url: ruleUrl("from-as-casing"),
  phase: "parse",
  *check(context) {
    for (const from of context.froms) {
      const as = from.as?.text;
      const keyword = from.keyword.text;
      if (as === undefined || matches(keyword, as)) continue;
      yield finding(from, `'${as}' and '${keyword}' keywords' casing do not match`, { culprit: from.as?.range });
    }
  },
};

/** A keyword of mixed case is another rule's business. */
function matches(keyword: string, as: string): boolean {
  if (keyword === keyword.toLowerCase()) return as === as.toLowerCase();
  return keyword !== keyword.toUpperCase() || as === as.toUpperCase();
}
