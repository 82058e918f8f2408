import { nearest } from "../suggest.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** A variable that neither ENV nor ARG nor the base image sets. */
export const undefinedVar: Rule = {
  name: "UndefinedVar",
  description: "Variables should be defined before their use",
  url: ruleUrl("undefined-var"),
  phase: "convert",
  *check({ stages }) {
    for (const { instruction, name, known } of stages.flatMap(({ facts }) => facts.undefinedVariables)) {
      const meant = nearest(name, known);
      const hint = meant === undefined ? "" : ` (did you mean $${meant}?)`;
      yield finding(instruction, `Usage of undefined variable '$${name}'${hint}`);
    }
  },
};
