import type { DraftDerivation, DraftVariable, StepDraft } from "../cache/index.js";
import type { Derivation, DerivationList, DerivationTerm } from "../llb/index.js";

/** Where the values that a vertex has come from, in the history's words. */
export interface Derivations {
  readonly variables: ReadonlyMap<string, DraftDerivation | undefined>;
  readonly settings: StepDraft["settings"];
}

/** What LIST says of each of its subjects last. */
export function derivationsOf(list: DerivationList | undefined): Derivations {
  const variables = new Map<string, DraftDerivation | undefined>();
  const settings = new Map<string, DraftDerivation | undefined>();
  let left = LISTED_MAX;
  for (let at = list; at !== undefined && left > 0; at = at.previous, left--) {
    const [known, name] = "variable" in at.of ? [variables, at.of.variable] : [settings, at.of.setting];
    if (!known.has(name)) known.set(name, at.derivation && draftOf(at.derivation));
  }
  const [WORKDIR, USER] = [settings.get("WORKDIR"), settings.get("USER")];
  return { variables, settings: WORKDIR || USER ? { ...(WORKDIR && { WORKDIR }), ...(USER && { USER }) } : undefined };
}

/** What was set longer ago is taken as it is. */
const LISTED_MAX = 1_000;
/** Variables that one value is made of, as far as they are told apart. */
const ROOTS_MAX = 16;
/** Values made of values made of …; what lies deeper is taken as it is. */
const DEPTH_MAX = 50;

function draftOf(derivation: Derivation): DraftDerivation {
  const roots = new Map<string, DraftVariable>();
  addRoots(derivation, { roots, seen: new Set(), depth: 0 });
  return { text: derivation.text, names: derivation.variables.map(({ name }) => name), roots: [...roots.values()] };
}

interface Search {
  readonly roots: Map<string, DraftVariable>;
  readonly seen: Set<Derivation>;
  readonly depth: number;
}

function addRoots(derivation: Derivation, { roots, seen, depth }: Search): void {
  if (seen.has(derivation)) return;
  seen.add(derivation);
  for (const term of derivation.variables) {
    if (roots.size >= ROOTS_MAX) return;
    if (term.derivation && depth < DEPTH_MAX) addRoots(term.derivation, { roots, seen, depth: depth + 1 });
    else if (term.value !== undefined && !roots.has(term.name)) roots.set(term.name, rootOf(term, term.value));
  }
}

function rootOf({ name, isArg }: DerivationTerm, value: string): DraftVariable {
  return { name, value, variable: isArg ? "ARG" : "ENV" };
}
