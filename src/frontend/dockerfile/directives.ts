import type { Directives, Range, Word } from "./ast.js";
import { leadingSpace } from "./blanks.js";
import type { Mistake } from "./diagnostics.js";
import type { EscapeCharacter } from "./expand.js";
import { withoutLineEnd } from "./lines.js";

/**
 * Reads the parser directives: `# key=value` lines at the very top. Whatever is none of them ends them, a blank line
 * and an ordinary comment too.
 *
 * Two readers take turns in BuildKit, with small differences that Dockerfiles have come to rely on: `escape` may be
 * indented, while `syntax` and `check` may not, but may stand behind a `#!` line.
 */
export class DirectiveReader {
  readonly #forEscape = new DirectiveRun("#");
  readonly #forOthers = new DirectiveRun("#");
  #escape: EscapeCharacter = "\\";
  #syntax: Word | undefined;
  #check: Word | undefined;

  /** Takes the next line of the file; true where it is a directive and so no comment. */
  read(line: string, number: number): DirectiveLine {
    if (this.#forEscape.isOver && this.#forOthers.isOver) return NOT_A_DIRECTIVE;
    const text = withoutLineEnd(line);
    this.#keep(number === 1 && isShebang(text) ? undefined : this.#forOthers.read(text), text, number);
    const directive = this.#forEscape.read(text.slice(leadingSpace(text)));
    if (directive === undefined) return NOT_A_DIRECTIVE;
    const message = this.#apply(directive);
    if (message === undefined) return { isDirective: true };
    return { isDirective: true, mistake: { message, culprit: valueRange(text, directive.value, number) } };
  }

  get escapeCharacter(): EscapeCharacter {
    return this.#escape;
  }

  finish(): Directives {
    return { escape: this.#escape, syntax: this.#syntax, check: this.#check };
  }

  #keep(directive: ReadDirective | undefined, text: string, number: number): void {
    if (!directive || directive.isRepeated) return;
    const word = { text: directive.value, range: valueRange(text, directive.value, number) };
    if (directive.key === "syntax") this.#syntax = word;
    if (directive.key === "check") this.#check = word;
  }

  #apply({ key, value, isRepeated }: ReadDirective): string | undefined {
    if (isRepeated) return `only one ${key} parser directive can be used`;
    if (key !== "escape") return undefined;
    if (value !== "\\" && value !== "`") return `invalid escape token '${value}' does not match \` or \\`;
    this.#escape = value;
    return undefined;
  }
}

/** What a line is to the directives; `mistake` is what is wrong with one. */
export type DirectiveLine =
  | { readonly isDirective: false }
  | { readonly isDirective: true; readonly mistake?: Mistake };

/** A directive without its comment sign, as build checks have it in comments: `check=skip=…`. */
export function parseDirectiveText(text: string): Directive | undefined {
  const equals = text.indexOf("=");
  const name = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*$/.exec(text.slice(0, Math.max(equals, 0)))?.[1];
  const key = name?.toLowerCase();
  if (key !== "syntax" && key !== "escape" && key !== "check") return undefined;
  const written = text.slice(equals + 1);
  // Blanks alone are a value too: the last of them.
  const value = withoutBlanks(written) || written.slice(-1);
  return value === "" ? undefined : { key, value };
}

export interface Directive {
  readonly key: "syntax" | "escape" | "check";
  readonly value: string;
}

/**
 * The frontend that a file asks for, whatever its language is: in a `# syntax=` or `// syntax=` directive, or as the
 * member `syntax` of a file that is a JSON object. The first word of it names an image.
 */
export function detectSyntax(text: string): Word | undefined {
  const lines = text.replace(/^\ufeff/, "").split("\n", MAX_LINES);
  return directiveIn(lines, "#") ?? directiveIn(lines, "//") ?? syntaxOfJson(text);
}

/** There are three, behind a `#!` line or not, and whatever follows them ends them. */
const MAX_LINES = 5;

function directiveIn(lines: readonly string[], mark: CommentMark): Word | undefined {
  const run = new DirectiveRun(mark);
  for (const [index, line] of lines.entries()) {
    if (index === 0 && isShebang(line)) continue;
    const directive = run.read(line);
    if (directive?.key === "syntax") {
      return { text: directive.value, range: valueRange(line, directive.value, index + 1) };
    }
    if (run.isOver) return undefined;
  }
  return undefined;
}

function syntaxOfJson(text: string): Word | undefined {
  const json = isShebang(text) ? text.slice(text.indexOf("\n") + 1) : text;
  if (!/^[\s\ufeff]*\{/.test(json)) return undefined;
  try {
    const { syntax }: { syntax?: unknown } = JSON.parse(json.replace(/^\ufeff/, ""));
    return typeof syntax === "string" ? { text: syntax, range: LINE_ONE } : undefined;
  } catch {
    return undefined;
  }
}

const LINE_ONE: Range = { start: { line: 1, character: 0 }, end: { line: 1, character: 0 } };

type CommentMark = "#" | "//";

interface ReadDirective extends Directive {
  /** There was one of its key before. */
  readonly isRepeated: boolean;
}

/** One reader's way through the directives. */
class DirectiveRun {
  readonly #mark: CommentMark;
  readonly #seen = new Set<string>();
  #isOver = false;

  constructor(mark: CommentMark) {
    this.#mark = mark;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The directive that LINE is; undefined for any other line, and for all behind one. */
  read(line: string): ReadDirective | undefined {
    if (this.#isOver) return undefined;
    const directive = line.startsWith(this.#mark)
      ? parseDirectiveText(afterBlanks(line, this.#mark.length))
      : undefined;
    if (directive === undefined) {
      this.#isOver = true;
      return undefined;
    }
    const isRepeated = this.#seen.has(directive.key);
    this.#isOver = isRepeated;
    this.#seen.add(directive.key);
    return { ...directive, isRepeated };
  }
}

const NOT_A_DIRECTIVE: DirectiveLine = { isDirective: false };

function isShebang(line: string): boolean {
  return line.startsWith("#!");
}

function afterBlanks(line: string, offset: number): string {
  const rest = line.slice(offset);
  return rest.slice(leadingSpace(rest));
}

/** Without the blanks at its ends, those of ASCII but the vertical tab. */
function withoutBlanks(text: string): string {
  const start = /^[\t\n\f\r ]*/.exec(text)?.[0].length ?? 0;
  let end = text.length;
  while (end > start && "\t\n\f\r ".includes(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

function valueRange(text: string, value: string, line: number): Range {
  const character = text.lastIndexOf(value);
  return { start: { line, character }, end: { line, character: character + value.length } };
}
