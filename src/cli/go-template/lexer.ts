import { TemplateError } from "./template-error.js";

/** A piece of a template: text between actions, or the words of an action (`{{ … }}`), a place being its offset. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly words: readonly Word[]; readonly at: number };

/** A word of an action. A field chain (`.Config.Env`) is one word, `$x.Name` a variable with its fields. */
export type Word =
  | { readonly kind: "field"; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: "variable"; readonly name: string; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: "value"; readonly value: string | number; readonly at: number }
  | { readonly kind: "name"; readonly name: string; readonly at: number }
  | { readonly kind: "mark"; readonly mark: "(" | ")" | "|" | "," | "=" | ":="; readonly at: number };

/** UTF-16 units of a template. */
const TEMPLATE_LENGTH_MAX = 64 * 1024;

/** The pieces of TEMPLATE, with white space taken away where `{{-` and `-}}` say so. Throws `TemplateError`. */
export function piecesOf(template: string): readonly Piece[] {
  if (template.length > TEMPLATE_LENGTH_MAX) throw new TemplateError("the template is too long", 0);
  const pieces: Piece[] = [];
  let at = 0;
  let trimsNext = false;
  for (;;) {
    const open = template.indexOf("{{", at);
    const text = template.slice(at, open < 0 ? undefined : open);
    const trimsBefore = open >= 0 && /^\{\{-\s/.test(template.slice(open, open + 4));
    const left = trimsNext ? text.trimStart() : text;
    const shown = trimsBefore ? left.trimEnd() : left;
    if (shown !== "") pieces.push({ kind: "text", text: shown });
    if (open < 0) return pieces;
    const action = readAction(template, open + (trimsBefore ? 3 : 2), open);
    if (action.words.length > 0) pieces.push({ kind: "action", words: action.words, at: open });
    trimsNext = action.trimsAfter;
    at = action.end;
  }
}

interface Action {
  readonly words: readonly Word[];
  /** Where the text goes on. */
  readonly end: number;
  readonly trimsAfter: boolean;
}

function readAction(template: string, start: number, open: number): Action {
  const comment = /^\s*\/\*.*?\*\/\s*(-?)\}\}/s.exec(template.slice(start));
  if (comment) return { words: [], end: start + comment[0].length, trimsAfter: comment[1] === "-" };
  const words: Word[] = [];
  for (let at = start; ; ) {
    at += /^\s*/.exec(template.slice(at))?.[0].length ?? 0;
    if (template.startsWith("}}", at)) return { words, end: at + 2, trimsAfter: false };
    if (template.startsWith("-}}", at) && /\s/.test(template[at - 1] ?? ""))
      return { words, end: at + 3, trimsAfter: true };
    if (at >= template.length) throw new TemplateError("unclosed action", open);
    const { word, length } = readWord(template.slice(at), at);
    words.push(word);
    at += length;
  }
}

const STRING = /^"((?:[^"\\\n]|\\.)*)"/;
const RAW_STRING = /^`([^`]*)`/;
const NUMBER = /^[+-]?\d+(?:\.\d+)?(?![\w.])/;
const FIELDS = /^\.(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?/;
const VARIABLE = /^\$(\w*)((?:\.[A-Za-z_]\w*)*)/;
const NAME = /^[A-Za-z_]\w*/;
const MARK = /^(?::=|[()|,=])/;

function readWord(rest: string, at: number): { readonly word: Word; readonly length: number } {
  const [string, quoted] = STRING.exec(rest) ?? [];
  if (string !== undefined && quoted !== undefined)
    return { word: { kind: "value", value: unquoted(quoted, at), at }, length: string.length };
  const [raw, plain] = RAW_STRING.exec(rest) ?? [];
  if (raw !== undefined && plain !== undefined)
    return { word: { kind: "value", value: plain, at }, length: raw.length };
  const number = NUMBER.exec(rest)?.[0];
  if (number !== undefined) return { word: { kind: "value", value: Number(number), at }, length: number.length };
  const fields = FIELDS.exec(rest)?.[0];
  if (fields !== undefined) return { word: { kind: "field", path: pathOf(fields), at }, length: fields.length };
  const variable = VARIABLE.exec(rest);
  if (variable) {
    const [whole, name = "", path = ""] = variable;
    return { word: { kind: "variable", name, path: pathOf(path), at }, length: whole.length };
  }
  const name = NAME.exec(rest)?.[0];
  if (name !== undefined) return { word: { kind: "name", name, at }, length: name.length };
  const mark = MARK.exec(rest)?.[0];
  if (mark !== undefined) {
    const known = mark as Extract<Word, { kind: "mark" }>["mark"];
    return { word: { kind: "mark", mark: known, at }, length: mark.length };
  }
  throw new TemplateError(`unexpected ${JSON.stringify(rest.slice(0, 1))} in an action`, at);
}

function pathOf(fields: string): readonly string[] {
  return fields.split(".").filter((part) => part !== "");
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\", "'": "'" };

function unquoted(text: string, at: number): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)/g, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    const char = ESCAPES[code];
    if (char === undefined) throw new TemplateError(`unknown escape \\${code}`, at);
    return char;
  });
}
