import type { MissCause } from "../../base/index.js";
import { excerpts } from "./excerpt.js";
import type { NotedDerivation, NotedVariable } from "./node.js";
import { cut, VALUE_MAX_LENGTH } from "./shown.js";
import { oneLine } from "./written.js";

type VariableCause = Extract<MissCause, { kind: "variable" }>;

/** What of the variables differs: for one that is written as it was with variables in it, what it is made of. */
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
  const changed = new Set(changes.map(({ name }) => name));
  const causes = new Map<string, VariableCause>();
  for (const change of changes)
    for (const cause of derivedDifference(change.from?.derivation, change.to?.derivation, changed) ?? [causeOf(change)])
      if (!causes.has(cause.name)) causes.set(cause.name, cause);
  return [...causes.values()];
}

/**
 * What makes two values differ that are written alike with variables in them; undefined where that is not it. CHANGED: variables that
 * are told of anyway.
 */
export function derivedDifference(
  older: NotedDerivation | undefined,
  newer: NotedDerivation | undefined,
  changed: ReadonlySet<string> = new Set(),
): readonly VariableCause[] | undefined {
  if (older === undefined || newer === undefined || older.mark !== newer.mark) return undefined;
  const roots = variableDifference(older.roots, newer.roots);
  return roots.length > 0 || newer.names.some((name) => changed.has(name)) ? roots : undefined;
}

/** The names of variables that are an image's in both lists, or in the one that has them. */
export function inheritedNames(older: readonly NotedVariable[], newer: readonly NotedVariable[]): ReadonlySet<string> {
  const names = [...older, ...newer].filter(({ isInherited }) => isInherited).map(({ name }) => name);
  const own = [...older, ...newer].filter(({ isInherited }) => !isInherited).map(({ name }) => name);
  return new Set(names.filter((name) => !own.includes(name)));
}

/** Of two lists of variables those that both have. */
export function inBoth(
  older: readonly NotedVariable[],
  newer: readonly NotedVariable[],
): readonly [older: readonly NotedVariable[], newer: readonly NotedVariable[]] {
  const [was, is] = [byName(older), byName(newer)];
  return [older.filter(({ name }) => is.has(name)), newer.filter(({ name }) => was.has(name))];
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

function causeOf({ name, from, to }: Change): VariableCause {
  const variable = (to ?? from)?.variable ?? "ENV";
  // Values that look the same once they are cut, or may not be told, would say nothing.
  if (from?.isHidden || to?.isHidden || from?.shown === to?.shown) return { kind: "variable", variable, name };
  return {
    kind: "variable",
    variable,
    name,
    ...endsOf(from?.shown, to?.shown),
  };
}

function endsOf(from: string | undefined, to: string | undefined): { readonly from?: string; readonly to?: string } {
  if (from !== undefined && to !== undefined) {
    const [was, is] = excerpts(from, to);
    return was === is ? {} : { from: was, to: is };
  }
  return from === undefined ? (to === undefined ? {} : { to: shortened(to) }) : { from: shortened(from) };
}

function shortened(value: string): string {
  return cut(oneLine(value), VALUE_MAX_LENGTH);
}
