import { type Platform, parsePlatform } from "../../../oci/index.js";
import { expandWord } from "../expand.js";
import { quote } from "../quote.js";
import { globalScope } from "./global-scope.js";
import { finding, froms, type LintContext, type Rule, ruleUrl } from "./rule.js";

/** `FROM --platform=linux/amd64`, unless the stage's name says that it is for that platform. */
export const fromPlatformFlagConstDisallowed: Rule = {
  name: "FromPlatformFlagConstDisallowed",
  description: "FROM --platform flag should not use a constant value",
  url: ruleUrl("from-platform-flag-const-disallowed"),
  needs: "build",
  *check(context) {
    const scope = globalScope(context, "given");
    if (!scope) return;
    for (const from of froms(context)) {
      const expanded = expandWord(from.platform?.value ?? "", scope.variables, context.file.directives.escape);
      if (!expanded.ok || expanded.value === "" || expanded.consulted.length > 0) continue;
      const platform = readPlatform(expanded.value, context);
      const stage = from.name?.text.toLowerCase() ?? "";
      if (!platform || stage.includes(platform.os) || stage.includes(platform.architecture)) continue;
      yield finding(from, `FROM --platform flag should not use constant value ${quote(expanded.value)}`);
    }
  },
};

/** Undefined for what is no platform: the build fails at it later. */
function readPlatform(text: string, { facts }: LintContext): Platform | undefined {
  const os = facts?.platformArgs.get("BUILDOS") ?? "linux";
  const architecture = facts?.platformArgs.get("BUILDARCH") ?? "amd64";
  try {
    return parsePlatform(text, { os, architecture });
  } catch {
    return undefined;
  }
}
