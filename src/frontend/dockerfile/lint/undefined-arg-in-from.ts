import { expandWord } from "../expand.js";
import { didYouMean } from "../suggest.js";
import { globalScope } from "./global-scope.js";
import { finding, froms, type Rule, ruleUrl } from "./rule.js";

/** A variable in FROM that no ARG ahead of it declares. */
export const undefinedArgInFrom: Rule = {
  name: "UndefinedArgInFrom",
  description: "FROM command must use declared ARGs",
  url: ruleUrl("undefined-arg-in-from"),
  needs: "build",
  *check(context) {
    const scope = globalScope(context, "given");
    if (!scope) return;
    for (const from of froms(context)) {
      for (const text of [from.image.text, from.platform?.value ?? ""]) {
        const { unset } = expandWord(text, scope.variables, context.file.directives.escape);
        for (const name of unset.filter((candidate) => !scope.names.has(candidate))) {
          yield finding(from, `FROM argument '${name}' is not declared${didYouMean(name, scope.names)}`);
        }
      }
    }
  },
};
