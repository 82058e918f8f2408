import { type Automaton, allBut, type CharacterSet, type CharacterSetPart, only, type Token } from "./automata.js";

/**
 * Compiles a pattern of `.dockerignore` as moby's pattern matcher does: into a regular expression, of which what is special in
 * Go's syntax and not in that of wildcards keeps its meaning (`\d`, `[[:alpha:]]`, `^`), and `*` and `?` lose theirs in a
 * class. Undefined for one that Go's compiler refuses: the matcher fails where it first has to look at a path.
 */
export function compileIgnorePattern(pattern: string): Automaton | undefined {
  return new RegexpReader(Array.from(regexpOf(pattern))).read();
}

/** Characters that are special in a regular expression and not in a wildcard. */
const ESCAPED = new Set(".+()|{}$");
const ANY_DIRECTORIES = "(.*/)?";
const ANYTHING = ".*";
const NAME_CHARACTER = "[^/]";

/** The regular expression for PATTERN, without the anchors at its ends. */
function regexpOf(pattern: string): string {
  const characters = Array.from(pattern);
  let text = "";
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? "";
    if (character === "*" && characters[at + 1] === "*") {
      at += characters[at + 2] === "/" ? 2 : 1;
      text += at + 1 === characters.length ? ANYTHING : ANY_DIRECTORIES;
    } else if (character === "*") text += `${NAME_CHARACTER}*`;
    else if (character === "?") text += NAME_CHARACTER;
    else if (ESCAPED.has(character)) text += `\\${character}`;
    else if (character === "\\") text += `\\${characters[++at] ?? ""}`;
    else text += character;
  }
  return text;
}

const ANY: CharacterSet = { negated: true, parts: [] };
/** `.` stands for no line feed. */
const DOT = allBut("\n");

type Ranges = readonly (readonly [low: number, high: number])[];

/** Ranges of characters, written as their bounds one behind the other: `az09`. */
function ranges(bounds: string): Ranges {
  const codes = Array.from(bounds, (character) => character.codePointAt(0) ?? 0);
  return codes.flatMap((low, n) => (n % 2 === 0 ? [[low, codes[n + 1] ?? low] as const] : []));
}

const PERL_CLASSES: ReadonlyMap<string, Ranges> = new Map([
  ["d", ranges("09")],
  ["s", ranges("\t\n\f\r  ")],
  ["w", ranges("09AZaz__")],
]);
const NAMED_CLASSES: ReadonlyMap<string, Ranges> = new Map([
  ["alnum", ranges("09AZaz")],
  ["alpha", ranges("AZaz")],
  ["ascii", ranges("\0\x7f")],
  ["blank", ranges("\t\t  ")],
  ["cntrl", ranges("\0\x1f\x7f\x7f")],
  ["digit", ranges("09")],
  ["graph", ranges("!~")],
  ["lower", ranges("az")],
  ["print", ranges(" ~")],
  ["punct", ranges("!/:@[`{~")],
  ["space", ranges("\t\r  ")],
  ["upper", ranges("AZ")],
  ["word", ranges("09AZaz__")],
  ["xdigit", ranges("09AFaf")],
]);
/** General categories of one letter. */
const CATEGORIES = "CLMNPSZ";
const ASSERTIONS = { A: "begin", z: "end", b: "boundary", B: "no-boundary" } as const;
const CONTROLS: Readonly<Record<string, string>> = { a: "\x07", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };
const OCTAL_DIGITS = 3;

/** Reads what of Go's regular expressions `regexpOf` can give. */
class RegexpReader {
  readonly #text: readonly string[];
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(text: readonly string[]) {
    this.#text = text;
  }

  read(): Automaton | undefined {
    while (this.#at < this.#text.length) if (!this.#readOne()) return undefined;
    return this.#tokens;
  }

  /** False for what is refused. */
  #readOne(): boolean {
    const character = this.#text[this.#at] ?? "";
    if (this.#takes(ANY_DIRECTORIES)) {
      this.#tokens.push({ kind: "optional", count: 2 }, { kind: "many", set: DOT }, { kind: "one", set: only("/") });
      return true;
    }
    if (this.#takes(ANYTHING)) return this.#push({ kind: "many", set: DOT });
    this.#at++;
    if (character === "^") return this.#push({ kind: "assert", what: "begin" });
    if (character === "\\") return this.#readEscape();
    if (character !== "[") return this.#push({ kind: "one", set: only(character) });
    const set = this.#readClass();
    if (set === undefined) return false;
    return this.#push({ kind: this.#takes("*") ? "many" : "one", set });
  }

  #readEscape(): boolean {
    const character = this.#text[this.#at] ?? "";
    if (character === "A" || character === "z" || character === "b" || character === "B") {
      this.#at++;
      return this.#push({ kind: "assert", what: ASSERTIONS[character] });
    }
    if (character === "Q") return this.#readQuoted();
    const part = this.#readClassEscape() ?? this.#readCharacterEscape();
    if (part === undefined) return false;
    return this.#push({ kind: "one", set: typeof part === "string" ? only(part) : { negated: false, parts: [part] } });
  }

  /** `\Q` up to `\E`; without that, the anchor at the end is quoted too. */
  #readQuoted(): boolean {
    this.#at++;
    while (this.#at < this.#text.length) {
      if (this.#takes("\\E")) return true;
      this.#push({ kind: "one", set: only(this.#text[this.#at++] ?? "") });
    }
    this.#tokens.push({ kind: "one", set: only("$") }, { kind: "many", set: ANY });
    return true;
  }

  /** A class behind its `[`. */
  #readClass(): CharacterSet | undefined {
    const negated = this.#takes("^");
    const parts: CharacterSetPart[] = [];
    for (let isFirst = true; isFirst || this.#text[this.#at] !== "]"; isFirst = false) {
      if (this.#at >= this.#text.length) return undefined;
      const part = this.#readClassPart();
      if (part === undefined) return undefined;
      parts.push(part);
    }
    this.#at++;
    return { negated, parts };
  }

  #readClassPart(): CharacterSetPart | undefined {
    const name = this.#takesName();
    if (name !== undefined) {
      const found = NAMED_CLASSES.get(name.replace(/^\^/, ""));
      return found && { negated: name.startsWith("^"), ranges: found };
    }
    if (this.#text[this.#at] === "\\") {
      this.#at++;
      const part = this.#readClassEscape();
      if (part !== undefined) return part;
      this.#at--;
    }
    const low = this.#readClassCharacter();
    let high = low;
    const [dash, after] = this.#text.slice(this.#at, this.#at + 2);
    if (dash === "-" && after !== undefined && after !== "]") {
      this.#at++;
      high = this.#readClassCharacter();
    }
    if (low === undefined || high === undefined || high < low) return undefined;
    return { negated: false, ranges: [[low, high]] };
  }

  #readClassCharacter(): number | undefined {
    const character = this.#text[this.#at++];
    return (character === "\\" ? this.#readCharacterEscape() : character)?.codePointAt(0);
  }

  /** The NAME of `[:NAME:]`, if one begins here. */
  #takesName(): string | undefined {
    if (this.#text[this.#at] !== "[" || this.#text[this.#at + 1] !== ":") return undefined;
    for (let end = this.#at + 2; end + 1 < this.#text.length; end++) {
      if (this.#text[end] !== ":" || this.#text[end + 1] !== "]") continue;
      const name = this.#text.slice(this.#at + 2, end).join("");
      this.#at = end + 2;
      return name;
    }
    return undefined;
  }

  /** A class behind its `\`; undefined, and nothing is read, where it is none. */
  #readClassEscape(): CharacterSetPart | undefined {
    const letter = this.#text[this.#at] ?? "";
    const small = letter.toLowerCase();
    const perl = PERL_CLASSES.get(small);
    if (perl !== undefined) {
      this.#at++;
      return { negated: letter !== small, ranges: perl };
    }
    const category = this.#text[this.#at + 1] ?? "";
    if (small !== "p" || category === "" || !CATEGORIES.includes(category)) return undefined;
    this.#at += 2;
    return { negated: letter !== small, category: new RegExp(`^\\p{${category}}$`, "u") };
  }

  /** A character behind its `\`. */
  #readCharacterEscape(): string | undefined {
    const character = this.#text[this.#at++] ?? "";
    if (character in CONTROLS) return CONTROLS[character];
    if (character === "x") return this.#readHex();
    if (/^[0-7]$/.test(character)) return this.#readOctal(character);
    return /^[^0-9A-Za-z\u0080-\u{10ffff}]$/u.test(character) ? character : undefined;
  }

  #readHex(): string | undefined {
    const digits = this.#text.slice(this.#at, this.#at + 2).join("");
    this.#at += 2;
    return /^[0-9A-Fa-f]{2}$/.test(digits) ? String.fromCodePoint(Number.parseInt(digits, 16)) : undefined;
  }

  /** FIRST and up to two more digits; a digit alone, but 0, would refer to a group. */
  #readOctal(first: string): string | undefined {
    let digits = first;
    while (digits.length < OCTAL_DIGITS && /^[0-7]$/.test(this.#text[this.#at] ?? "")) digits += this.#text[this.#at++];
    return digits.length === 1 && first !== "0" ? undefined : String.fromCodePoint(Number.parseInt(digits, 8));
  }

  #push(token: Token): true {
    this.#tokens.push(token);
    return true;
  }

  /** Whether EXPECTED stands here; then it is read. */
  #takes(expected: string): boolean {
    for (let n = 0; n < expected.length; n++) if (this.#text[this.#at + n] !== expected[n]) return false;
    this.#at += expected.length;
    return true;
  }
}
