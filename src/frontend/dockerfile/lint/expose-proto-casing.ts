import { exposedPorts } from "./exposed-ports.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** `EXPOSE 80/TCP`. */
export const exposeProtoCasing: Rule = {
  name: "ExposeProtoCasing",
  description: "Protocol in EXPOSE instruction should be lowercase",
  url: ruleUrl("expose-proto-casing"),
  phase: "convert",
  *check(context) {
    for (const { instruction, text, index, range, protocol } of exposedPorts(context)) {
      if (protocol === protocol.toLowerCase()) continue;
      const message = `Defined protocol '${text}' in EXPOSE instruction should be lowercase`;
      yield finding(instruction, message, { order: index, culprit: range });
    }
  },
};
