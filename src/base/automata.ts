/**
 * A pattern as a row of tokens. Matching follows all ways through them at once, one character at a time: text length times
 * row length at worst, whatever the pattern.
 */
export type Automaton = readonly Token[];

export type Token =
  /** One character of a set. */
  | { readonly kind: "one"; readonly set: CharacterSet }
  /** Any number of them. */
  | { readonly kind: "many"; readonly set: CharacterSet }
  /** The next COUNT tokens may be left out. */
  | { readonly kind: "optional"; readonly count: number }
  | { readonly kind: "assert"; readonly what: Assertion };

/** The beginning or the end of the text, a place where a word begins or ends, or any other place. */
export type Assertion = "begin" | "end" | "boundary" | "no-boundary";

/** Characters by their code. */
export interface CharacterSet {
  readonly negated: boolean;
  readonly parts: readonly CharacterSetPart[];
}

export type CharacterSetPart =
  | {
      readonly negated: boolean;
      readonly ranges: readonly (readonly [low: number, high: number])[];
    }
  /** A general category of Unicode: `L`, `N` … */
  | { readonly negated: boolean; readonly category: RegExp };

/** The set of one character. */
export function only(character: string): CharacterSet {
  const code = character.codePointAt(0) ?? 0;
  return { negated: false, parts: [{ negated: false, ranges: [[code, code]] }] };
}

/** All but one character. */
export function allBut(character: string): CharacterSet {
  return { ...only(character), negated: true };
}

/** Whether AUTOMATON matches all of TEXT. */
export function matchesAll(automaton: Automaton, text: string): boolean {
  const states = run(automaton, text, (prev) => (what) => holds(what, prev, undefined));
  return states?.has(automaton.length) ?? false;
}

/** Whether AUTOMATON could match a text that begins with PREFIX and is longer. */
export function couldMatchBeyond(automaton: Automaton, prefix: string): boolean {
  const states = run(automaton, prefix, () => () => true);
  return states?.hasBefore(automaton.length) ?? false;
}

type Holds = (what: Assertion) => boolean;

/** The states behind TEXT; undefined as soon as there are none. AT_END: which assertions hold behind a last character. */
function run(automaton: Automaton, text: string, atEnd: (last: string | undefined) => Holds): StateSet | undefined {
  let states = new StateSet(automaton.length + 1);
  let next = new StateSet(automaton.length + 1);
  let last: string | undefined;
  states.push(0);
  for (const character of text) {
    const before = last;
    enter(automaton, states, (what) => holds(what, before, character));
    next.clear();
    const code = character.codePointAt(0) ?? 0;
    for (const n of states.list()) {
      const token = automaton[n];
      if (token === undefined || token.kind === "optional" || token.kind === "assert") continue;
      if (contains(token.set, code, character)) next.push(token.kind === "many" ? n : n + 1);
    }
    if (next.isEmpty) return undefined;
    [states, next] = [next, states];
    last = character;
  }
  enter(automaton, states, atEnd(last));
  return states;
}

/** Goes on over tokens that may match nothing. */
function enter(automaton: Automaton, states: StateSet, isTrue: Holds): void {
  // The list grows while it is gone through.
  for (const n of states.list()) {
    const token = automaton[n];
    if (token?.kind === "many") states.push(n + 1);
    else if (token?.kind === "assert" && isTrue(token.what)) states.push(n + 1);
    else if (token?.kind === "optional") {
      states.push(n + 1);
      states.push(n + 1 + token.count);
    }
  }
}

function holds(what: Assertion, before: string | undefined, after: string | undefined): boolean {
  switch (what) {
    case "begin":
      return before === undefined;
    case "end":
      return after === undefined;
    case "boundary":
      return isWord(before) !== isWord(after);
    case "no-boundary":
      return isWord(before) === isWord(after);
  }
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /^[0-9A-Za-z_]$/.test(character);
}

function contains({ parts, negated }: CharacterSet, code: number, character: string): boolean {
  return parts.some((part) => isInPart(part, code, character)) !== negated;
}

function isInPart(part: CharacterSetPart, code: number, character: string): boolean {
  const isIn =
    "category" in part ? part.category.test(character) : part.ranges.some(([low, high]) => low <= code && code <= high);
  return isIn !== part.negated;
}

/** Numbers below a size, each once, in the order in which they came. */
class StateSet {
  readonly #marks: Uint8Array;
  #list: number[] = [];

  constructor(size: number) {
    this.#marks = new Uint8Array(size);
  }

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  list(): readonly number[] {
    return this.#list;
  }

  push(state: number): void {
    if (this.#marks[state] !== 0) return;
    this.#marks[state] = 1;
    this.#list.push(state);
  }

  has(state: number): boolean {
    return this.#marks[state] === 1;
  }

  hasBefore(end: number): boolean {
    return this.#list.some((state) => state < end);
  }

  clear(): void {
    for (const state of this.#list) this.#marks[state] = 0;
    this.#list = [];
  }
}
