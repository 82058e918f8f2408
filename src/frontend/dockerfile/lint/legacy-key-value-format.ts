import { finding, type Rule, ruleUrl } from "./rule.js";

/** `ENV key value`. */
export const legacyKeyValueFormat: Rule = {
  name: "LegacyKeyValueFormat",
  description: "Legacy key/value format with whitespace separator should not be used",
  url: ruleUrl("legacy-key-value-format"),
  phase: "convert",
  *check({ stages }) {
    for (const { instructions } of stages) {
      for (const instruction of instructions) {
        if ((instruction.kind !== "env" && instruction.kind !== "label") || !instruction.legacy) continue;
        const name = instruction.keyword.text;
        const message = `"${name} key=value" should be used instead of legacy "${name} key value" format`;
        yield finding(instruction, message, { culprit: instruction.pairs[0]?.range });
      }
    }
  },
};
