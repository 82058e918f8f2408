import type { Directives, Range, Word } from "./ast.js";
import type { EscapeCharacter } from "./expand.js";
import { leadingSpace, withoutLineEnd } from "./lines.js";

/**
 * Reads the parser directives: `# key=value` lines at the very top. Whatever is none of them ends them, a blank line
 * and an ordinary comment too.
 *
 * Two readers take turns in BuildKit, with small differences that Dockerfiles have come to rely on: `escape` may be
 * indented, while `syntax` and `check` may not, but may stand behind a `#!` line.
 */
export class DirectiveReader {
  readonly #seen = new Set<string>();
  #escape: EscapeCharacter = "\\";
  #syntax: Word | undefined;
  #check: Word | undefined;
  #escapeIsOver = false;
  #restIsOver = false;

  /** Takes the next line of the file; true where it is a directive and so no comment. */
  read(line: string, number: number): DirectiveLine {
    if (this.#escapeIsOver && this.#restIsOver) return NOT_A_DIRECTIVE;
    const text = withoutLineEnd(line);
    const indent = leadingSpace(text);
    const directive = parseDirective(text.slice(indent));
    const isPlain = directive !== undefined && indent === 0;
    if (!this.#restIsOver) this.#restIsOver = !isPlain && !(number === 1 && text.startsWith("#!"));
    if (directive === undefined) this.#escapeIsOver = true;
    else if (!this.#restIsOver) this.#keep(directive, text, number);
    if (directive === undefined || this.#escapeIsOver) return NOT_A_DIRECTIVE;
    const problem = this.#apply(directive);
    if (problem === undefined) return { isDirective: true };
    return { isDirective: true, problem, range: rangeOf(text, directive.value, number) };
  }

  get escapeCharacter(): EscapeCharacter {
    return this.#escape;
  }

  finish(): Directives {
    return { escape: this.#escape, syntax: this.#syntax, check: this.#check };
  }

  #keep(directive: Directive, text: string, number: number): void {
    const word = { text: directive.value, range: rangeOf(text, directive.value, number) };
    if (directive.key === "syntax") this.#syntax ??= word;
    if (directive.key === "check") this.#check ??= word;
  }

  #apply({ key, value }: Directive): string | undefined {
    if (this.#seen.has(key)) return `only one ${key} parser directive can be used`;
    this.#seen.add(key);
    if (key !== "escape") return undefined;
    if (value !== "\\" && value !== "`") return `invalid escape token '${value}' does not match \` or \\`;
    this.#escape = value;
    return undefined;
  }
}

/** What a line is to the directives; `problem` is a mistake in one. */
export type DirectiveLine =
  | { readonly isDirective: false }
  | { readonly isDirective: true; readonly problem?: undefined }
  | { readonly isDirective: true; readonly problem: string; readonly range: Range };

/** A directive without its comment sign, as build checks have it in comments: `check=skip=…`. */
export function parseDirectiveText(text: string): Directive | undefined {
  const match = DIRECTIVE.exec(text);
  const key = match?.[1]?.toLowerCase();
  if (key !== "syntax" && key !== "escape" && key !== "check") return undefined;
  return { key, value: (match?.[2] ?? "").trimEnd() };
}

export interface Directive {
  readonly key: "syntax" | "escape" | "check";
  readonly value: string;
}

const DIRECTIVE = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*([^\t\n\f\r ].*)$/;

const NOT_A_DIRECTIVE: DirectiveLine = { isDirective: false };

function parseDirective(text: string): Directive | undefined {
  if (!text.startsWith("#")) return undefined;
  return parseDirectiveText(text.slice(1 + leadingSpace(text.slice(1))));
}

function rangeOf(text: string, value: string, line: number): Range {
  const character = text.lastIndexOf(value);
  return { start: { line, character }, end: { line, character: character + value.length } };
}
