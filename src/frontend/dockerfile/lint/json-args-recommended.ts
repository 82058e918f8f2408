import { finding, type Rule, ruleUrl } from "./rule.js";

/** CMD or ENTRYPOINT in shell form, unless a shell was chosen on purpose. */
export const jsonArgsRecommended: Rule = {
  name: "JSONArgsRecommended",
  description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
  url: ruleUrl("json-args-recommended"),
  phase: "convert",
  *check({ stages }) {
    for (const { facts, instructions } of stages) {
      let hasShell = facts.baseHasShell;
      for (const instruction of instructions) {
        const { kind, keyword } = instruction;
        if (kind === "shell") hasShell = true;
        if ((kind !== "cmd" && kind !== "entrypoint") || hasShell || instruction.command.form === "exec") continue;
        const reason = "to prevent unintended behavior related to OS signals";
        yield finding(instruction, `JSON arguments recommended for ${keyword.text} ${reason}`, {
          culprit: keyword.range,
        });
      }
    }
  },
};
