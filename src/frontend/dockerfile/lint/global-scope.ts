import { expandWord, type VariableSource } from "../expand.js";
import type { LintContext } from "./rule.js";

/** The variables that FROM sees. */
export interface GlobalScope {
  readonly variables: VariableSource;
  /** Every name that is set or declared. */
  readonly names: ReadonlySet<string>;
}

/**
 * The platform's variables and the ARGs ahead of the first FROM, with --build-arg over their defaults or as if there
 * were none. Undefined where a default can't be expanded.
 */
export function globalScope({ file, facts }: LintContext, values: "given" | "defaults"): GlobalScope | undefined {
  const variables = new Map(facts?.platformArgs);
  const names = new Set(variables.keys());
  const buildArgs = values === "given" ? facts?.buildArgs : undefined;
  for (const { key, value } of file.globalArgs.flatMap((instruction) => instruction.args)) {
    names.add(key);
    const given = buildArgs?.get(key);
    if (given !== undefined) variables.set(key, given);
    else if (value !== undefined) {
      const expanded = expandWord(value, variables, file.directives.escape);
      if (!expanded.ok) return undefined;
      variables.set(key, expanded.value);
    }
  }
  return { variables, names };
}
