import type { MissCause } from "../../base/index.js";
import type { NotedVariable } from "./node.js";

type VariableCause = Extract<MissCause, { kind: "variable" }>;

/**
 * What of the variables differs. One whose values follow from those of another that differs, an `ENV URL=…/$VERSION` from its ARG, is left
 * out: its cause is told already.
 */
export function variableDifference(
  older: readonly NotedVariable[],
  newer: readonly NotedVariable[],
): readonly VariableCause[] {
  const [was, is] = [byName(older), byName(newer)];
  const names = [...new Set([...was.keys(), ...is.keys()])];
  const changes = names.flatMap((name): readonly Change[] => {
    const [from, to] = [was.get(name), is.get(name)];
    return from?.mark === to?.mark ? [] : [{ name, from, to }];
  });
  return changes.filter((change) => !changes.some((other) => isDerived(change, other))).map(causeOf);
}

/** Whether the same variables are in another order. */
export function isReordered(older: readonly NotedVariable[], newer: readonly NotedVariable[]): boolean {
  return older.length === newer.length && newer.some(({ name }, i) => name !== older[i]?.name);
}

interface Change {
  readonly name: string;
  readonly from: NotedVariable | undefined;
  readonly to: NotedVariable | undefined;
}

function byName(variables: readonly NotedVariable[]): ReadonlyMap<string, NotedVariable> {
  return new Map(variables.map((variable) => [variable.name, variable]));
}

function isDerived({ from, to }: Change, { from: sourceFrom, to: sourceTo }: Change): boolean {
  if (!from || !to || !sourceFrom || !sourceTo) return false;
  if (to.variable !== "ENV" || sourceTo.variable !== "ARG" || sourceFrom.shown === "" || to.isHidden) return false;
  return from.shown !== to.shown && from.shown.replaceAll(sourceFrom.shown, () => sourceTo.shown) === to.shown;
}

function causeOf({ name, from, to }: Change): VariableCause {
  const variable = (to ?? from)?.variable ?? "ENV";
  // Values that look the same once they are cut, or may not be told, would say nothing.
  if (from?.isHidden || to?.isHidden || from?.shown === to?.shown) return { kind: "variable", variable, name };
  return {
    kind: "variable",
    variable,
    name,
    ...(from === undefined ? {} : { from: from.shown }),
    ...(to === undefined ? {} : { to: to.shown }),
  };
}
