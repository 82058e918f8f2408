import { valueRange } from "../flags.js";
import { quote } from "../quote.js";
import { expandedFroms } from "./global-scope.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** `FROM --platform=linux/amd64`, unless the stage's name says that it is for that platform. */
export const fromPlatformFlagConstDisallowed: Rule = {
  name: "FromPlatformFlagConstDisallowed",
  description: "FROM --platform flag should not use a constant value",
  url: ruleUrl("from-platform-flag-const-disallowed"),
  phase: "from",
  *check(context) {
    for (const { from, platform: expanded, parsedPlatform: platform } of expandedFroms(context)) {
      if (!platform || !expanded?.ok || expanded.consulted.length > 0) continue;
      const stage = from.name?.text.toLowerCase() ?? "";
      if (stage.includes(platform.os) || stage.includes(platform.architecture)) continue;
      const message = `FROM --platform flag should not use constant value ${quote(expanded.value)}`;
      yield finding(from, message, { culprit: from.platform && valueRange(from.platform) });
    }
  },
};
