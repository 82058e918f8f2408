import type { Instruction } from "../ast.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** An instruction in another case than most. */
export const consistentInstructionCasing: Rule = {
  name: "ConsistentInstructionCasing",
  description: "All commands within the Dockerfile should use the same casing (either upper or lower)",
  url: ruleUrl("consistent-instruction-casing"),
  phase: "casing",
  *check({ file }) {
    // What stands before the first FROM neither counts nor is judged.
    const instructions: readonly Instruction[] = file.stages.flatMap((stage) => [stage.from, ...stage.instructions]);
    let lower = 0;
    let upper = 0;
    for (const { keyword } of instructions) {
      if (isLower(keyword.text)) lower++;
      if (isUpper(keyword.text)) upper++;
    }
    const isRight = lower > upper ? isLower : isUpper;
    const majority = lower > upper ? "lowercase" : "uppercase";
    for (const instruction of instructions) {
      const keyword = instruction.keyword.text;
      if (isRight(keyword)) continue;
      const message = `Command '${keyword}' should match the case of the command majority (${majority})`;
      yield finding(instruction, message, { culprit: instruction.keyword.range });
    }
  },
};

function isLower(text: string): boolean {
  return text === text.toLowerCase();
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase();
}
