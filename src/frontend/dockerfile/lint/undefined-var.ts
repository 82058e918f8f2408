import { nearest } from "../suggest.js";
import { finding, type Rule, ruleUrl } from "./rule.js";
import { findVariable } from "./variable-place.js";

/** Findings whose words are looked for. */
const MAX_SEARCHED = 1_000;

/** A variable that neither ENV nor ARG nor the base image sets. */
export const undefinedVar: Rule = {
  name: "UndefinedVar",
  description: "Variables should be defined before their use",
  url: ruleUrl("undefined-var"),
  phase: "convert",
  *check({ stages, lines }) {
    let searched = 0;
    for (const { node, facts } of stages) {
      for (const { instruction, name, known } of facts.undefinedVariables) {
        const meant = nearest(name, known);
        const hint = meant === undefined ? "" : ` (did you mean $${meant}?)`;
        // What the base's triggers say is not in the file.
        const isTrigger = instruction.range === node.from.range;
        const place =
          isTrigger || searched++ >= MAX_SEARCHED ? undefined : findVariable(lines(), instruction.range, name);
        yield finding(instruction, `Usage of undefined variable '$${name}'${hint}`, {
          culprit: place?.culprit,
          suggestion: place && meant && place.sigil + meant,
        });
      }
    }
  },
};
