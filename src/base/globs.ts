/**
 * Compiled wildcards. A glob is a list of tokens and matching follows all ways through it at once, one character at a
 * time: text length times pattern length at worst, whatever the pattern.
 */
export type Glob = readonly GlobToken[];

type GlobToken =
  | { readonly kind: "literal"; readonly character: string }
  /** `?`: any character but `/`. */
  | { readonly kind: "any" }
  /** `*`: any number of those. */
  | { readonly kind: "star" }
  /** `[…]`, which may match `/`, as in Go. */
  | {
      readonly kind: "class";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [low: number, high: number])[];
    }
  /** What follows may begin right here or behind the next `loop`. */
  | { readonly kind: "skip" }
  /** Any number of characters, the last of which is `/`. */
  | { readonly kind: "loop" }
  /** Any number of characters. */
  | { readonly kind: "rest" };

/**
 * What `**` means: nothing more than `*` twice (Go's `filepath.Match`), or any number of directories (`.dockerignore`).
 */
export type DoubleStar = "two-stars" | "directories";

/** Compiles PATTERN in the syntax of Go's `filepath.Match`; undefined where it is malformed. */
export function compileGlob(pattern: string, doubleStar: DoubleStar): Glob | undefined {
  const characters = Array.from(pattern);
  const tokens: GlobToken[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? "";
    if (character === "\\") {
      const escaped = characters[++at];
      if (escaped === undefined) return undefined;
      tokens.push({ kind: "literal", character: escaped });
    } else if (character === "[") {
      const characterClass = parseClass(characters, at + 1);
      if (characterClass === undefined) return undefined;
      tokens.push(characterClass.token);
      at = characterClass.end;
    } else if (character === "*" && characters[at + 1] === "*" && doubleStar === "directories") {
      at += characters[at + 2] === "/" ? 2 : 1;
      if (at + 1 === characters.length) tokens.push({ kind: "rest" });
      else tokens.push({ kind: "skip" }, { kind: "loop" });
    } else if (character === "*") tokens.push({ kind: "star" });
    else if (character === "?") tokens.push({ kind: "any" });
    else tokens.push({ kind: "literal", character });
  }
  return tokens;
}

/** Whether GLOB matches all of TEXT. */
export function matchesGlob(glob: Glob, text: string): boolean {
  return run(glob, text)?.[glob.length] === 1;
}

/** Whether GLOB could match a text that begins with PREFIX and is longer. */
export function couldMatchBeyond(glob: Glob, prefix: string): boolean {
  const states = run(glob, prefix);
  return states?.subarray(0, glob.length).includes(1) ?? false;
}

/** The characters of a class from START up to its `]`, whose place is END. */
function parseClass(
  characters: readonly string[],
  start: number,
): { readonly token: GlobToken; readonly end: number } | undefined {
  let at = start;
  const negated = characters[at] === "^";
  if (negated) at++;
  const ranges: [number, number][] = [];
  const next = (): number | undefined => {
    const character = characters[at];
    if (character === undefined || character === "-" || character === "]") return undefined;
    if (character === "\\") at++;
    return characters[at++]?.codePointAt(0);
  };
  while (ranges.length === 0 || characters[at] !== "]") {
    const low = next();
    if (low === undefined) return undefined;
    let high: number | undefined = low;
    if (characters[at] === "-") {
      at++;
      high = next();
    }
    if (high === undefined || at >= characters.length) return undefined;
    ranges.push([low, high]);
  }
  return { token: { kind: "class", negated, ranges }, end: at };
}

/** The states behind TEXT: 1 at n where the first n tokens match all of it. Undefined as soon as there are none. */
function run(glob: Glob, text: string): Uint8Array | undefined {
  let states = new Uint8Array(glob.length + 1);
  let next = new Uint8Array(glob.length + 1);
  states[0] = 1;
  for (const character of text) {
    enterEmpty(glob, states);
    next.fill(0);
    let isAlive = false;
    for (let n = 0; n < glob.length; n++) {
      const token = glob[n];
      if (states[n] === 1 && token && advance(token, n, character, next)) isAlive = true;
    }
    if (!isAlive) return undefined;
    [states, next] = [next, states];
  }
  enterEmpty(glob, states);
  return states;
}

/** Goes on over tokens that may match nothing. */
function enterEmpty(glob: Glob, states: Uint8Array): void {
  for (let n = 0; n < glob.length; n++) {
    if (states[n] !== 1) continue;
    const kind = glob[n]?.kind;
    if (kind === "star" || kind === "rest") states[n + 1] = 1;
    else if (kind === "skip") {
      states[n + 1] = 1;
      states[n + 2] = 1;
    }
  }
}

/** Takes CHARACTER at token N; false where it doesn't fit. */
function advance(token: GlobToken, n: number, character: string, next: Uint8Array): boolean {
  switch (token.kind) {
    case "literal":
      if (token.character !== character) return false;
      next[n + 1] = 1;
      return true;
    case "any":
      if (character === "/") return false;
      next[n + 1] = 1;
      return true;
    case "class":
      if (!isInClass(token, character)) return false;
      next[n + 1] = 1;
      return true;
    case "star":
      if (character === "/") return false;
      next[n] = 1;
      return true;
    case "rest":
      next[n] = 1;
      return true;
    case "loop":
      next[n] = 1;
      if (character === "/") next[n + 1] = 1;
      return true;
    case "skip":
      return false;
  }
}

function isInClass(token: Extract<GlobToken, { kind: "class" }>, character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
}
