import { parseReference } from "../../../oci/index.js";
import { expandWord } from "../expand.js";
import { globalScope } from "./global-scope.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** A FROM that names no image unless a --build-arg is given. */
export const invalidDefaultArgInFrom: Rule = {
  name: "InvalidDefaultArgInFrom",
  description: "Default value for global ARG results in an empty or invalid base image name",
  url: ruleUrl("invalid-default-arg-in-from"),
  phase: "defaults",
  *check(context) {
    const scope = globalScope(context, "defaults");
    if (!scope) return;
    for (const from of context.froms) {
      const { text } = from.image;
      const expanded = expandWord(text, scope.variables, context.file.directives.escape);
      if (!expanded.ok) return;
      if (isReference(expanded.value)) continue;
      const message = `Default value for ARG ${text} results in empty or invalid base image name`;
      yield finding(from, message, { culprit: from.image.range });
    }
  },
};

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch {
    return false;
  }
}
