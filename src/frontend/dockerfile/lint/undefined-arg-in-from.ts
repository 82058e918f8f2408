import { nearest } from "../suggest.js";
import { expandedFroms } from "./global-scope.js";
import { finding, type Rule, ruleUrl } from "./rule.js";
import { findVariable } from "./variable-place.js";

/** A variable in FROM that no ARG ahead of it declares. */
export const undefinedArgInFrom: Rule = {
  name: "UndefinedArgInFrom",
  description: "FROM command must use declared ARGs",
  url: ruleUrl("undefined-arg-in-from"),
  phase: "from",
  *check(context) {
    for (const { from, scope, image, platform } of expandedFroms(context)) {
      const unset = [...image.unset, ...(platform?.unset ?? [])];
      for (const name of unset.filter((candidate) => !scope.names.has(candidate))) {
        const meant = nearest(name, scope.names);
        const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`;
        const place = findVariable(context.lines(), from.range, name);
        yield finding(from, `FROM argument '${name}' is not declared${hint}`, {
          culprit: place?.culprit,
          suggestion: place && meant && place.sigil + meant,
        });
      }
    }
  },
};
