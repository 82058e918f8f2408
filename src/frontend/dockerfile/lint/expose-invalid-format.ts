import { exposedPorts } from "./exposed-ports.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** `EXPOSE 127.0.0.1:80:80` and `EXPOSE 80:80`. */
export const exposeInvalidFormat: Rule = {
  name: "ExposeInvalidFormat",
  description:
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
  url: ruleUrl("expose-invalid-format"),
  phase: "convert",
  *check(context) {
    for (const { instruction, text, index, range, hasMapping } of exposedPorts(context)) {
      if (!hasMapping) continue;
      const rule = "EXPOSE instruction should not define an IP address or host-port mapping";
      yield finding(instruction, `${rule}, found '${text}'`, { order: index, culprit: range });
    }
  },
};
