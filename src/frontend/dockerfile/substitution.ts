/** What `${name#pattern}` and its like give, or why the pattern is none. */
export type SubstitutionResult =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly error: string };

/** VALUE without the shortest (or longest) beginning that matches PATTERN: `${v#p}` and `${v##p}`. */
export function removePrefix(value: string, pattern: string, longest: boolean): SubstitutionResult {
  return withPattern(value, pattern, (tokens, budget) => {
    const characters = Array.from(value);
    const found = find(tokens, characters, { from: 0, anchored: true, longest, budget });
    return found ? characters.slice(found.end).join("") : value;
  });
}

/** VALUE without the shortest (or longest) ending that matches PATTERN: `${v%p}` and `${v%%p}`. */
export function removeSuffix(value: string, pattern: string, longest: boolean): SubstitutionResult {
  return withPattern(value, pattern, (tokens, budget) => {
    const characters = Array.from(value).reverse();
    const found = find(tokens.toReversed(), characters, { from: 0, anchored: true, longest, budget });
    return found ? characters.slice(found.end).reverse().join("") : value;
  });
}

/**
 * VALUE with the first match of PATTERN (or all) replaced: `${v/p/r}` and `${v//p/r}`. Matches are as long as can be.
 */
export function replacePattern(
  value: string,
  pattern: string,
  how: { readonly replacement: string; readonly all: boolean },
): SubstitutionResult {
  return withPattern(value, pattern, (tokens, budget) => {
    const characters = Array.from(value);
    if (how.all) return replaceAll(tokens, characters, how.replacement, budget);
    const found = find(tokens, characters, { from: 0, anchored: false, longest: true, budget });
    if (!found) return value;
    return characters.slice(0, found.start).join("") + how.replacement + characters.slice(found.end).join("");
  });
}

/** A literal character, `?` (any but a line feed), or `*` (any number of those). */
type Token =
  | { readonly kind: "literal"; readonly character: string }
  | { readonly kind: "any" }
  | { readonly kind: "star" };

/** Steps that one substitution may take: pattern length times value length, twice or so. */
const MAX_STEPS = 20_000_000;

class Budget {
  #left = MAX_STEPS;

  /** Takes STEPS away; false when there are none left. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left >= 0;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }
}

/** What taking a value apart costs, for each of its UTF-16 units. */
const STEPS_PER_UNIT = 5;

function withPattern(
  value: string,
  pattern: string,
  apply: (tokens: readonly Token[], budget: Budget) => string,
): SubstitutionResult {
  const parsed = parsePattern(pattern);
  if (!parsed.ok) return { ok: false, error: `invalid pattern (${pattern}) in substitution: ${parsed.error}` };
  const budget = new Budget();
  budget.spend(value.length * STEPS_PER_UNIT);
  const result = budget.isSpent ? value : apply(parsed.tokens, budget);
  if (budget.isSpent) return { ok: false, error: `pattern (${pattern}) takes too long in substitution` };
  return { ok: true, value: result };
}

function parsePattern(
  pattern: string,
): { readonly ok: true; readonly tokens: readonly Token[] } | { readonly ok: false; readonly error: string } {
  const tokens: Token[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at++) {
    let character = characters[at] ?? "";
    if (character === "*") tokens.push({ kind: "star" });
    else if (character === "?") tokens.push({ kind: "any" });
    else {
      if (character === "\\") {
        character = characters[++at] ?? "\ufffd";
        if (!"}/*?\\".includes(character)) return { ok: false, error: `invalid escape '\\${character}'` };
      }
      tokens.push({ kind: "literal", character });
    }
  }
  return { ok: true, tokens };
}

interface Found {
  readonly start: number;
  readonly end: number;
}

interface Search {
  readonly from: number;
  readonly anchored: boolean;
  readonly longest: boolean;
  readonly budget: Budget;
}

/**
 * The leftmost match, the longest (or shortest) of those that begin there. All ways to match are followed at once:
 * `starts[n]` is the leftmost place where a match of the first n tokens that ends here begins. So the time is that of
 * text times pattern.
 */
function find(tokens: readonly Token[], text: readonly string[], search: Search): Found | undefined {
  let starts = new Int32Array(tokens.length + 1).fill(NOWHERE);
  let next = new Int32Array(tokens.length + 1);
  let found: Found | undefined;
  for (let at = search.from; at <= text.length; at++) {
    if (found === undefined && (!search.anchored || at === search.from)) starts[0] = Math.min(starts[0] ?? NOWHERE, at);
    skipStars(tokens, starts);
    const start = starts[tokens.length] ?? NOWHERE;
    if (start !== NOWHERE && start <= (found?.start ?? NOWHERE)) {
      found = { start, end: at };
      if (!search.longest) return found;
    }
    if (!search.budget.spend(tokens.length + 1) || at === text.length) break;
    const isAlive = advance(tokens, { starts, next, limit: found?.start ?? NOWHERE }, text[at] ?? "");
    [starts, next] = [next, starts];
    if ((found !== undefined || search.anchored) && !isAlive) break;
  }
  return found;
}

/** Behind every offset: texts are far shorter than this. */
const NOWHERE = 2 ** 31 - 1;

/** A star may match nothing. */
function skipStars(tokens: readonly Token[], starts: Int32Array): void {
  for (let n = 0; n < tokens.length; n++) {
    if (tokens[n]?.kind === "star") starts[n + 1] = Math.min(starts[n + 1] ?? NOWHERE, starts[n] ?? NOWHERE);
  }
}

interface States {
  readonly starts: Int32Array;
  /** Filled with the states behind the character. */
  readonly next: Int32Array;
  /** Matches that begin behind this can't be the leftmost any more. */
  readonly limit: number;
}

/** Goes on by CHARACTER; false where nothing can match any more of what has begun. */
function advance(tokens: readonly Token[], { starts, next, limit }: States, character: string): boolean {
  next.fill(NOWHERE);
  let isAlive = false;
  for (let n = 0; n < tokens.length; n++) {
    const start = starts[n] ?? NOWHERE;
    if (start === NOWHERE || start > limit) continue;
    const token = tokens[n];
    const fits = token?.kind === "literal" ? token.character === character : character !== "\n";
    if (!fits) continue;
    const to = token?.kind === "star" ? n : n + 1;
    next[to] = Math.min(next[to] ?? NOWHERE, start);
    isAlive = true;
  }
  return isAlive;
}

/** An empty match counts unless it stands right behind another one, as Go's regular expressions have it. */
function replaceAll(tokens: readonly Token[], text: readonly string[], replacement: string, budget: Budget): string {
  const parts: string[] = [];
  let copied = 0;
  let at = 0;
  while (at <= text.length && !budget.isSpent) {
    const found = find(tokens, text, { from: at, anchored: false, longest: true, budget });
    if (!found) break;
    parts.push(text.slice(copied, found.start).join(""));
    if (found.end > copied || found.start === 0) {
      parts.push(fillTemplate(replacement, text.slice(found.start, found.end).join("")));
    }
    copied = found.end;
    at = Math.max(found.end, at + 1);
  }
  parts.push(text.slice(copied).join(""));
  return parts.join("");
}

/** BuildKit replaces all matches by a template: `$0` is the match, `$$` a dollar sign, any other name empty. */
function fillTemplate(template: string, match: string): string {
  return template.replace(
    /\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu,
    (_, dollar: string | undefined, bare: string | undefined, braced: string | undefined) =>
      dollar ?? ((bare ?? braced) === "0" ? match : ""),
  );
}
