import { exposedPorts } from "./exposed-ports.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** `EXPOSE 80/TCP`. */
export const exposeProtoCasing: Rule = {
  name: "ExposeProtoCasing",
  description: "Protocol in EXPOSE instruction should be lowercase",
  url: ruleUrl("expose-proto-casing"),
  phase: "convert",
  *check(context) {
    for (const { instruction, text, index, protocol } of exposedPorts(context)) {
      if (protocol === protocol.toLowerCase()) continue;
      yield finding(instruction, `Defined protocol '${text}' in EXPOSE instruction should be lowercase`, index);
    }
  },
};
