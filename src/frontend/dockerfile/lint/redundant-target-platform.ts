import { expandWord } from "../expand.js";
import { globalScope } from "./global-scope.js";
import { finding, froms, type Rule, ruleUrl } from "./rule.js";

/** `FROM --platform=$TARGETPLATFORM`. */
export const redundantTargetPlatform: Rule = {
  name: "RedundantTargetPlatform",
  description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
  url: ruleUrl("redundant-target-platform"),
  needs: "build",
  *check(context) {
    const scope = globalScope(context, "given");
    if (!scope) return;
    for (const from of froms(context)) {
      const text = from.platform?.value;
      if (!text) continue;
      const expanded = expandWord(text, scope.variables, context.file.directives.escape);
      const isTarget = expanded.consulted.length === 1 && expanded.consulted[0] === "TARGETPLATFORM";
      if (!expanded.ok || !isTarget || expanded.value !== scope.variables.get("TARGETPLATFORM")) continue;
      const reason = "is redundant as this is the default behavior";
      yield finding(from, `Setting platform to predefined ${text} in FROM ${reason}`);
    }
  },
};
