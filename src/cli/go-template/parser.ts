import { type Piece, piecesOf, type Word } from "./lexer.js";
import { TemplateError } from "./template-error.js";

/** A node of a template. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "show"; readonly pipe: Pipe }
  | { readonly kind: "if" | "with"; readonly pipe: Pipe; readonly then: readonly Node[]; readonly otherwise: Nodes }
  | {
      readonly kind: "range";
      readonly pipe: Pipe;
      /** What the key and the value are called. */
      readonly variables: readonly string[];
      readonly then: Nodes;
      readonly otherwise: Nodes;
    };

type Nodes = readonly Node[];

/** Commands, each of which has what the one before gave as its last argument. */
export interface Pipe {
  /** The variable that is given the result, which is then not shown. */
  readonly variable: { readonly name: string; readonly isNew: boolean } | undefined;
  readonly commands: readonly Command[];
}

/** A function with its arguments, or a value alone. */
export interface Command {
  readonly words: readonly Operand[];
}

export type Operand =
  | Exclude<Word, { kind: "mark" }>
  | { readonly kind: "pipe"; readonly pipe: Pipe; readonly path: readonly string[]; readonly at: number };

/** Blocks within blocks, and brackets within brackets. */
const DEPTH_MAX = 64;

/** The nodes of TEMPLATE. Throws `TemplateError`. */
export function parseTemplate(template: string): readonly Node[] {
  const reader = new Reader(piecesOf(template));
  const { nodes, end } = reader.nodes(0);
  if (end !== undefined) throw new TemplateError(`unexpected {{${end.name}}}`, end.at);
  return nodes;
}

/** The action that a block ends with. */
interface BlockEnd {
  readonly name: "end" | "else";
  /** The words of `else if …`. */
  readonly more: readonly Word[];
  readonly at: number;
}

class Reader {
  readonly #pieces: readonly Piece[];
  #next = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** Nodes up to the end of the block they are in, or of the template. */
  nodes(depth: number): { readonly nodes: Nodes; readonly end: BlockEnd | undefined } {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#next++]; piece !== undefined; piece = this.#pieces[this.#next++]) {
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      const [first, ...more] = piece.words;
      const keyword = first?.kind === "name" ? first.name : undefined;
      if (keyword === "end" || keyword === "else") return { nodes, end: { name: keyword, more, at: piece.at } };
      nodes.push(
        keyword === "if" || keyword === "with" || keyword === "range"
          ? this.#block(keyword, more, { at: piece.at, depth: depth + 1 })
          : { kind: "show", pipe: parsePipe(piece.words, piece.at) },
      );
    }
    return { nodes, end: undefined };
  }

  #block(
    kind: "if" | "with" | "range",
    words: readonly Word[],
    { at, depth }: { readonly at: number; readonly depth: number },
  ): Node {
    if (depth > DEPTH_MAX) throw new TemplateError("blocks are nested too deeply", at);
    const { variables, rest } = kind === "range" ? rangeVariables(words) : { variables: [], rest: words };
    const pipe = parsePipe(rest, at);
    const { nodes: then, end } = this.nodes(depth);
    const otherwise = end === undefined ? undefined : this.#otherwise(end, depth);
    if (otherwise === undefined) throw new TemplateError(`{{${kind}}} has no {{end}}`, at);
    return kind === "range" ? { kind, pipe, variables, then, otherwise } : { kind, pipe, then, otherwise };
  }

  #otherwise({ name, more, at }: BlockEnd, depth: number): Nodes | undefined {
    if (name === "end") return [];
    const [first, ...rest] = more;
    if (first?.kind === "name" && (first.name === "if" || first.name === "with"))
      return [this.#block(first.name, rest, { at, depth: depth + 1 })];
    const { nodes, end } = this.nodes(depth);
    return end?.name === "end" ? nodes : undefined;
  }
}

/** `range $i, $x := …` */
function rangeVariables(words: readonly Word[]): {
  readonly variables: readonly string[];
  readonly rest: readonly Word[];
} {
  const assignment = words.findIndex((word) => word.kind === "mark" && word.mark === ":=");
  if (assignment < 0) return { variables: [], rest: words };
  const variables = words.slice(0, assignment).flatMap((word) => (word.kind === "variable" ? [word.name] : []));
  return { variables, rest: words.slice(assignment + 1) };
}

function parsePipe(words: readonly Word[], at: number, depth = 0): Pipe {
  if (depth > DEPTH_MAX) throw new TemplateError("brackets are nested too deeply", at);
  const [target, mark] = words;
  const isAssignment =
    target?.kind === "variable" && mark?.kind === "mark" && (mark.mark === ":=" || mark.mark === "=");
  const rest = isAssignment ? words.slice(2) : words;
  const variable = isAssignment ? { name: target.name, isNew: mark.mark === ":=" } : undefined;
  return { variable, commands: split(rest, at).map((part) => ({ words: operands(part, at, depth) })) };
}

/** WORDS between the pipes that are in no brackets. */
function split(words: readonly Word[], at: number): readonly (readonly Word[])[] {
  const parts: Word[][] = [[]];
  let open = 0;
  for (const word of words) {
    if (word.kind === "mark" && word.mark === "(") open++;
    if (word.kind === "mark" && word.mark === ")") open--;
    if (open === 0 && word.kind === "mark" && word.mark === "|") parts.push([]);
    else parts.at(-1)?.push(word);
  }
  if (open !== 0) throw new TemplateError("a bracket is missing", at);
  if (parts.some((part) => part.length === 0)) throw new TemplateError("missing value for command", at);
  return parts;
}

function operands(words: readonly Word[], at: number, depth: number): readonly Operand[] {
  const found: Operand[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === undefined) break;
    if (word.kind !== "mark") {
      found.push(word);
      continue;
    }
    if (word.mark !== "(") throw new TemplateError(`unexpected ${JSON.stringify(word.mark)} in an action`, word.at);
    const end = closing(words, i);
    found.push({ kind: "pipe", pipe: parsePipe(words.slice(i + 1, end), at, depth + 1), path: [], at: word.at });
    i = end;
    const after = words[i + 1];
    const place = found.length - 1;
    const bracket = found[place];
    // `(index .Layers 0).Size`: fields that follow a bracket at once are its.
    if (
      after?.kind === "field" &&
      after.path.length > 0 &&
      after.at === (words[i]?.at ?? 0) + 1 &&
      bracket?.kind === "pipe"
    ) {
      found[place] = { ...bracket, path: after.path };
      i++;
    }
  }
  return found;
}

function closing(words: readonly Word[], open: number): number {
  let depth = 0;
  for (let i = open; i < words.length; i++) {
    const word = words[i];
    if (word?.kind !== "mark") continue;
    if (word.mark === "(") depth++;
    if (word.mark === ")" && --depth === 0) return i;
  }
  throw new TemplateError("a bracket is missing", words[open]?.at ?? 0);
}
