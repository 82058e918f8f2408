import { quote } from "../quote.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** A first WORKDIR that is relative, in a stage none of whose parents in the file has one. */
export const workdirRelativePath: Rule = {
  name: "WorkdirRelativePath",
  description:
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
  url: ruleUrl("workdir-relative-path"),
  phase: "convert",
  *check({ stages }) {
    const hasWorkdir = new Set<number>();
    for (const { node, facts, instructions } of stages) {
      if (facts.parent !== undefined && hasWorkdir.has(facts.parent)) hasWorkdir.add(node.index);
      for (const instruction of instructions) {
        if (instruction.kind !== "workdir") continue;
        const path = facts.expanded.get(instruction)?.[0] ?? instruction.path.text;
        if (!hasWorkdir.has(node.index) && !path.startsWith("/")) {
          const reason = "can have unexpected results if the base image changes";
          yield finding(instruction, `Relative workdir ${quote(path)} ${reason}`, { culprit: instruction.path.range });
        }
        hasWorkdir.add(node.index);
      }
    }
  },
};
