import type { EscapeCharacter, VariableSource } from "./expand.js";
import { type ExpandedWord, WordCollector } from "./expanded-words.js";
import { removePrefix, removeSuffix, replacePattern, type SubstitutionResult } from "./substitution.js";

/** How an expansion treats what is not a variable. */
export interface ExpanderMode {
  readonly escapeCharacter: EscapeCharacter;
  /** Whether quotes protect and go, protect and stay, or are characters like others. */
  readonly quotes: "remove" | "keep" | "ordinary";
  /** Keep the escape character before the character it escapes. */
  readonly keepEscapes: boolean;
  /** Leave variables without a value as they are written. */
  readonly keepUnset: boolean;
}

export type ExpansionResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string };

/**
 * How deep `${a:-${b:-…}}` may nest. Each level takes some of the stack, which holds more than twice as many of the costliest kind
 * (in quotes); BuildKit's grows as long as there is memory.
 */
const MAX_NESTING = 500;

/** What one expansion may produce, in UTF-16 units: keeps `ENV a=$a$a`, line by line, from eating the memory. */
const MAX_EXPANDED_UNITS = 32 * 1024 * 1024;

/** Is no part of the text where it stands first. */
const BYTE_ORDER_MARK = "\ufeff";

/** Up to the next character that could mean something, within braces and outside of them. */
const ORDINARY_IN_BRACES = /[^$<'"\\`}/]+/y;
const ORDINARY = /[^$<'"\\`]+/y;
const NAME = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy;

/**
 * One expansion of one text: a scanner over it that takes every character once, but for nested words, which are part of
 * the same pass. Mistakes are noted and unwound by undefined, never thrown.
 */
export class Expansion {
  /** The variables asked for, with their values, in the order of first use; undefined where there are none. */
  consulted: Map<string, string | undefined> | undefined;
  /** What can be done about the error, where that is not plain from it. */
  hint: string | undefined;
  readonly #text: string;
  readonly #env: VariableSource;
  readonly #mode: ExpanderMode;
  #words: WordCollector | undefined;
  #at = 0;
  #depth = 0;
  #produced = 0;
  #error: string | undefined;

  constructor(text: string, env: VariableSource, mode: ExpanderMode) {
    this.#text = text;
    this.#env = env;
    this.#mode = mode;
    if (text.startsWith(BYTE_ORDER_MARK)) this.#at = BYTE_ORDER_MARK.length;
  }

  /** Expands the text to one word. Only one of this and `words` may be called, once. */
  word(): ExpansionResult<string> {
    return this.#result(this.#sequence(undefined, this.#mode.keepEscapes));
  }

  /** Expands the text and splits it at blanks that nothing protects. */
  words(): ExpansionResult<readonly ExpandedWord[]> {
    const words = new WordCollector();
    this.#words = words;
    const whole = this.#sequence(undefined, this.#mode.keepEscapes, words);
    return this.#result(whole === undefined ? undefined : words.finish());
  }

  #result<T>(value: T | undefined): ExpansionResult<T> {
    if (value === undefined) return { ok: false, error: this.#error ?? "syntax error: bad substitution" };
    return { ok: true, value };
  }

  /** Everything up to STOP, which is taken too, or to the end of the text. */
  #sequence(stop: "}" | "/" | undefined, keepEscapes: boolean, words?: WordCollector): string | undefined {
    if (this.#depth >= MAX_NESTING) return this.#fail("syntax error: substitutions nest too deeply");
    this.#depth++;
    const parts: string[] = [];
    while (this.#at < this.#text.length) {
      const start = this.#at;
      const character = this.#text.charAt(start);
      if (character === stop) {
        this.#at++;
        this.#depth--;
        return parts.join("");
      }
      const part = this.#part(character, keepEscapes);
      if (part === undefined) return undefined;
      this.#produced += part.length;
      if (this.#produced > MAX_EXPANDED_UNITS) return this.#fail("the expanded text is too long");
      parts.push(part);
      const splits = character === "$" || this.#isPlain(character);
      words?.add(part, { splits, start, end: this.#at });
    }
    this.#depth--;
    if (stop !== undefined) return this.#fail(`unexpected end of statement while looking for matching ${stop}`);
    return parts.join("");
  }

  #part(character: string, keepEscapes: boolean): string | undefined {
    const { escapeCharacter, quotes } = this.#mode;
    if (character === "$") return this.#dollar();
    if (character === "<") return this.#possibleHeredoc();
    if (quotes !== "ordinary" && character === "'") return this.#singleQuoted();
    if (quotes !== "ordinary" && character === '"') return this.#doubleQuoted(keepEscapes);
    if (character === escapeCharacter) {
      this.#at++;
      return (keepEscapes ? character : "") + this.#next();
    }
    return this.#match(this.#depth > 1 ? ORDINARY_IN_BRACES : ORDINARY) || this.#next();
  }

  /** Whether a part that begins with CHARACTER is text whose blanks part words. */
  #isPlain(character: string): boolean {
    const { escapeCharacter, quotes } = this.#mode;
    if (character === "<" || character === escapeCharacter) return false;
    return quotes === "ordinary" || (character !== "'" && character !== '"');
  }

  #singleQuoted(): string | undefined {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) {
      this.#at = this.#text.length;
      return this.#fail("unexpected end of statement while looking for matching single-quote");
    }
    const inner = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return this.#mode.quotes === "keep" ? `'${inner}'` : inner;
  }

  #doubleQuoted(keepEscapes: boolean): string | undefined {
    const { escapeCharacter, quotes } = this.#mode;
    const mark = quotes === "keep" ? '"' : "";
    const parts = [mark];
    this.#at++;
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at);
      if (character === '"') {
        this.#at++;
        parts.push(mark);
        return parts.join("");
      }
      if (character === "$") {
        const value = this.#dollar();
        if (value === undefined) return undefined;
        this.#produced += value.length;
        if (this.#produced > MAX_EXPANDED_UNITS) return this.#fail("the expanded text is too long");
        parts.push(value);
      } else if (character === escapeCharacter) {
        this.#at++;
        const escaped = this.#text.charAt(this.#at);
        if (keepEscapes) parts.push(character);
        if (escaped === '"' || escaped === "$" || escaped === escapeCharacter) {
          this.#at++;
          parts.push(escaped);
        } else if (escaped !== "") parts.push(character);
      } else parts.push(this.#match(ORDINARY) || this.#next());
    }
    return this.#fail("unexpected end of statement while looking for matching double-quote");
  }

  #possibleHeredoc(): string {
    this.#at++;
    if (this.#text.charAt(this.#at) !== "<") return "<";
    this.#at++;
    return `<<${this.#match(/[\t\r ]+/y)}`;
  }

  #dollar(): string | undefined {
    this.#at++;
    if (this.#text.charAt(this.#at) !== "{") {
      const name = this.#match(NAME);
      if (name === "") return "$";
      const value = this.#lookUp(name);
      return value ?? (this.#mode.keepUnset ? `$${name}` : "");
    }
    this.#at++;
    const first = this.#text.charAt(this.#at);
    if (first === "") return this.#fail("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") return this.#fail("syntax error: bad substitution");
    return this.#braced(this.#match(NAME));
  }

  /** What follows `${NAME`. */
  #braced(name: string): string | undefined {
    let operator = this.#next() || END_OF_TEXT;
    if (operator === "}") {
      const value = this.#lookUp(name);
      return value ?? (this.#mode.keepUnset ? `\${${name}}` : "");
    }
    if (operator === "/") return this.#replaced(name);
    let modifier = operator;
    const emptyIsUnset = operator === ":";
    if (emptyIsUnset) {
      operator = this.#next() || END_OF_TEXT;
      modifier += operator;
    }
    const trims = operator === "#" || operator === "%";
    if (emptyIsUnset ? trims : !"+-?#%".includes(operator)) return this.#unsupported(modifier);
    const word = this.#operand("}", trims);
    if (word === undefined) return undefined;
    const value = this.#lookUp(name);
    if (value === undefined && this.#mode.keepUnset) return `\${${name}${modifier}${word}}`;
    const given = emptyIsUnset && value === "" ? undefined : value;
    switch (operator) {
      case "-":
        return given ?? word;
      case "+":
        return given === undefined ? "" : word;
      case "?":
        if (given !== undefined) return given;
        return this.#fail(`${name}: ${word || `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`);
      case "#":
      case "%":
        return this.#trimmed(operator, word, value ?? "");
      default:
        return this.#unsupported(modifier);
    }
  }

  #trimmed(operator: "#" | "%", word: string, value: string): string | undefined {
    const longest = word.startsWith(operator);
    const pattern = longest ? word.slice(1) : word;
    const remove = operator === "#" ? removePrefix : removeSuffix;
    return this.#substituted(remove(value, pattern, longest));
  }

  /** What follows `${NAME/`. */
  #replaced(name: string): string | undefined {
    const all = this.#text.charAt(this.#at) === "/";
    if (all) this.#at++;
    const pattern = this.#operand("/", true);
    if (pattern === undefined) return undefined;
    const replacement = this.#operand("}", true);
    if (replacement === undefined) return undefined;
    const value = this.#lookUp(name);
    // BuildKit drops a doubled slash here, which can't matter: this form is only re-read for blanks and quotes.
    if (value === undefined && this.#mode.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return this.#substituted(replacePattern(value ?? "", pattern, { replacement, all }));
  }

  /**
   * A nested word up to STOP; at the end of the text the error is that the stop is missing, whatever else went wrong.
   */
  #operand(stop: "}" | "/", keepEscapes: boolean): string | undefined {
    // Where a text is split, BuildKit loses what stands right before `${name:-word}`: `${A:-80}-${B:-90}` gives `90`.
    this.#words?.dropUnfinished();
    const word = this.#sequence(stop, keepEscapes);
    if (word === undefined && this.#at >= this.#text.length) {
      this.#error = stop === "}" ? "syntax error: missing '}'" : `syntax error: missing '/' in \${}`;
    }
    return word;
  }

  #substituted(result: SubstitutionResult): string | undefined {
    return result.ok ? result.value : this.#fail(result.error);
  }

  #lookUp(name: string): string | undefined {
    const value = this.#env.get(name);
    this.consulted ??= new Map();
    if (!this.consulted.has(name)) this.consulted.set(name, value);
    return value;
  }

  /** What REGEXP (sticky) matches here, and takes it. */
  #match(regexp: RegExp): string {
    const start = this.#at;
    regexp.lastIndex = start;
    if (!regexp.test(this.#text)) return "";
    this.#at = regexp.lastIndex;
    return this.#text.slice(start, this.#at);
  }

  /** The next character, whole, and takes it; empty at the end. */
  #next(): string {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return "";
    const character = String.fromCodePoint(code);
    this.#at += character.length;
    return character;
  }

  #unsupported(modifier: string): undefined {
    const isUnclosed = this.#at >= this.#text.length && modifier.endsWith(END_OF_TEXT);
    if (isUnclosed) this.hint = "The text ends within the braces of a variable: a } is missing.";
    return this.#fail(`unsupported modifier (${modifier}) in substitution`);
  }

  #fail(error: string): undefined {
    this.#error = error;
    return undefined;
  }
}

/** What messages show for a character that is not there. */
const END_OF_TEXT = "\ufffd";
