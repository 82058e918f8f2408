import { finding, type Rule, ruleUrl } from "./rule.js";

/** MAINTAINER. */
export const maintainerDeprecated: Rule = {
  name: "MaintainerDeprecated",
  description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
  url: ruleUrl("maintainer-deprecated"),
  phase: "parse",
  *check({ instructions }) {
    for (const instruction of instructions) {
      if (instruction.kind !== "maintainer") continue;
      const culprit = instruction.keyword.range;
      yield finding(instruction, "Maintainer instruction is deprecated in favor of using label", { culprit });
    }
  },
};
