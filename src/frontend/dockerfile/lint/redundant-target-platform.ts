import { valueRange } from "../flags.js";
import { expandedFroms } from "./global-scope.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** `FROM --platform=$TARGETPLATFORM`, which goes without saying. */
export const redundantTargetPlatform: Rule = {
  name: "RedundantTargetPlatform",
  description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
  url: ruleUrl("redundant-target-platform"),
  phase: "from",
  *check(context) {
    for (const { from, scope, platform } of expandedFroms(context)) {
      if (!platform?.ok || platform.value !== scope.variables.get("TARGETPLATFORM")) continue;
      if (platform.consulted.length !== 1 || platform.consulted[0] !== "TARGETPLATFORM") continue;
      const reason = "is redundant as this is the default behavior";
      yield finding(from, `Setting platform to predefined ${from.platform?.value} in FROM ${reason}`, {
        culprit: from.platform && valueRange(from.platform),
      });
    }
  },
};
