import type { Derivation, DerivationSubject } from "../../llb/index.js";
import type { StageBuild, StepScope } from "./stage-build.js";

/** What WORK gives for TEXT, and where that comes from: undefined where it names no variable. */
export function derived(
  build: StageBuild,
  text: string,
  work: () => string,
): { readonly value: string; readonly derivation: Derivation | undefined } {
  const others = build.consulted;
  build.consulted = undefined;
  const value = work();
  const own = build.consulted as Set<string> | undefined;
  build.consulted = others && own ? new Set([...others, ...own]) : (own ?? others);
  if (own === undefined) return { value, derivation: undefined };
  const variables = Array.from(own, (name) => ({
    name,
    value: build.variables.get(name),
    isArg: build.args.has(name),
    derivation: derivationOf(build, { variable: name }),
  }));
  return { value, derivation: { text, variables } };
}

/** Notes where the present value of a variable or a setting comes from. */
export function noteDerivation(build: StageBuild, of: DerivationSubject, derivation: Derivation | undefined): void {
  const subject = subjectOf(of);
  if (derivation === undefined && !build.derived.has(subject)) return;
  build.derivations = { of, derivation, previous: build.derivations };
  if (derivation === undefined) build.derived.delete(subject);
  else build.derived.set(subject, derivation);
}

/** Where it comes from; undefined of what was written without variables. */
export function derivationOf({ derived: known }: StageBuild, of: DerivationSubject): Derivation | undefined {
  return known.get(subjectOf(of));
}

function subjectOf(of: DerivationSubject): string {
  return "variable" in of ? `variable ${of.variable}` : of.setting;
}

/** The ARGs by which the stages were chosen that a step reads: through stages that only stand for others. */
export function choosersOf(build: StageBuild, { sources }: StepScope): readonly string[] | undefined {
  const choosers: string[] = [];
  for (const source of sources) {
    let stage = source?.kind === "stage" ? source.stage : undefined;
    while (stage !== undefined) {
      const base = stage.base.kind === "stage" ? stage.base.stage : undefined;
      const { stages } = build.scope;
      if (stage.steps.length > 0 && stages.get(stage)?.state !== (base && stages.get(base)?.state)) break;
      choosers.push(...(stage.from.variables ?? []));
      stage = base;
    }
  }
  return choosers.length === 0 ? undefined : choosers;
}
