import { suggest } from "../suggest.js";
import type { LintContext } from "./rule.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** Build arguments that are options of the build and never variables. */
const OPTIONS: ReadonlySet<string> = new Set(["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]);

/** A variable that neither ENV nor ARG nor the base image sets. */
export const undefinedVar: Rule = {
  name: "UndefinedVar",
  description: "Variables should be defined before their use",
  url: ruleUrl("undefined-var"),
  needs: "build",
  *check(context) {
    const declared = new Map<number, Set<string>>();
    for (const stage of context.stages) {
      declared.set(stage.node.index, declaredBy(stage, declared));
      for (const { instruction, name, known } of stage.facts.undefinedVariables) {
        if (OPTIONS.has(name) || isDeclaredBefore(name, instruction.range.start.line, stage, declared)) continue;
        const meant = suggest(name, known);
        const hint = meant === undefined ? "" : ` (did you mean $${meant}?)`;
        yield finding(instruction, `Usage of undefined variable '$${name}'${hint}`);
      }
    }
  },
};

type Stage = LintContext["stages"][number];

/** The ARGs of a stage and of those it is built on. */
function declaredBy({ facts, instructions }: Stage, declared: ReadonlyMap<number, ReadonlySet<string>>): Set<string> {
  const names = new Set(facts.parent === undefined ? [] : declared.get(facts.parent));
  for (const instruction of instructions) {
    if (instruction.kind === "arg") for (const { key } of instruction.args) names.add(key);
  }
  return names;
}

/** Whether an ARG without a value names it: then it is empty on purpose. */
function isDeclaredBefore(
  name: string,
  line: number,
  { facts, instructions }: Stage,
  declared: ReadonlyMap<number, ReadonlySet<string>>,
): boolean {
  if (facts.parent !== undefined && declared.get(facts.parent)?.has(name)) return true;
  return instructions.some(
    (instruction) =>
      instruction.kind === "arg" &&
      instruction.range.start.line < line &&
      instruction.args.some((declaration) => declaration.key === name),
  );
}
