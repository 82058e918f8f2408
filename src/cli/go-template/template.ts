import { FUNCTIONS, type TemplateFunction } from "./functions.js";
import { goText, isTrue, sorted } from "./go-value.js";
import { type Command, type Node, type Operand, type Pipe, parseTemplate } from "./parser.js";
import { TemplateError } from "./template-error.js";

/** What a `--format` says, ready to be filled in. */
export interface Template {
  /**
   * The text for DATA, made of what JSON is made of: an object is a Go struct, whose fields are known; a `Map` is a Go map, which may lack
   * keys. Throws `TemplateError`.
   */
  render(data: unknown): string;
}

/**
 * Reads a Go template: text, fields, variables, pipes, if, with, range, and the functions that docker's commands know (json, join, split,
 * upper, lower, title, pad, truncate, println, index, len, printf, comparisons). Throws `TemplateError`.
 */
export function compileTemplate(text: string, functions: Readonly<Record<string, TemplateFunction>> = {}): Template {
  const nodes = parseTemplate(text);
  const known = { ...FUNCTIONS, ...functions };
  return {
    render(data) {
      const writer = new Writer(known);
      writer.run(nodes, { dot: data, variables: new Map([["", { value: data }]]) });
      return writer.text;
    },
  };
}

/** UTF-16 units that a template may make of one value: ranges within ranges have no other end. */
const TEXT_LENGTH_MAX = 64 * 1024 * 1024;

interface Place {
  readonly dot: unknown;
  /** By name, without the `$`; the nameless one is the whole data. */
  readonly variables: ReadonlyMap<string, { value: unknown }>;
}

class Writer {
  text = "";
  readonly #functions: Readonly<Record<string, TemplateFunction>>;

  constructor(functions: Readonly<Record<string, TemplateFunction>>) {
    this.#functions = functions;
  }

  run(nodes: readonly Node[], place: Place): void {
    const variables = new Map(place.variables);
    const here = { dot: place.dot, variables };
    for (const node of nodes) {
      switch (node.kind) {
        case "text":
          this.#write(node.text);
          break;
        case "show": {
          const value = this.#pipe(node.pipe, here);
          if (node.pipe.variable === undefined) this.#write(goText(value));
          else assign(variables, node.pipe.variable, value);
          break;
        }
        case "range":
          this.#range(node, here);
          break;
        default: {
          const value = this.#pipe(node.pipe, here);
          const inside = new Map(variables);
          if (node.pipe.variable) assign(inside, node.pipe.variable, value);
          const within = { dot: node.kind === "with" ? value : here.dot, variables: inside };
          if (isTrue(value)) this.run(node.then, within);
          else this.run(node.otherwise, { ...within, dot: here.dot });
        }
      }
    }
  }

  #range(node: Extract<Node, { kind: "range" }>, here: Place): void {
    const entries = entriesOf(this.#pipe(node.pipe, here), node.pipe);
    if (entries.length === 0) this.run(node.otherwise, here);
    const names = node.variables;
    for (const [key, value] of entries) {
      const variables = new Map(here.variables);
      const [first, second] = names;
      if (first !== undefined) variables.set(first, { value: second === undefined ? value : key });
      if (second !== undefined) variables.set(second, { value });
      this.run(node.then, { dot: value, variables });
    }
  }

  #pipe({ commands }: Pipe, place: Place): unknown {
    let result: readonly unknown[] = [];
    for (const command of commands) result = [this.#command(command, result, place)];
    return result[0];
  }

  #command({ words: [head, ...rest] }: Command, piped: readonly unknown[], place: Place): unknown {
    if (head === undefined) return undefined;
    if (head.kind === "name" && !CONSTANTS.has(head.name)) {
      const call = Object.hasOwn(this.#functions, head.name) ? this.#functions[head.name] : undefined;
      if (call === undefined) throw new TemplateError(`function ${JSON.stringify(head.name)} not defined`, head.at);
      const args = [...rest.map((word) => this.#operand(word, place)), ...piped];
      try {
        return call(...args);
      } catch (error) {
        if (error instanceof TemplateError) throw error;
        throw new TemplateError(`error calling ${head.name}: ${(error as Error).message}`, head.at);
      }
    }
    if (rest.length > 0 || piped.length > 0) throw new TemplateError("can't give arguments to a value", head.at);
    return this.#operand(head, place);
  }

  #operand(word: Operand, place: Place): unknown {
    switch (word.kind) {
      case "value":
        return word.value;
      case "field":
        return fieldOf(place.dot, word.path, word.at);
      case "variable": {
        const variable = place.variables.get(word.name);
        if (!variable) throw new TemplateError(`undefined variable "$${word.name}"`, word.at);
        return fieldOf(variable.value, word.path, word.at);
      }
      case "pipe":
        return fieldOf(this.#pipe(word.pipe, place), word.path, word.at);
      case "name":
        return CONSTANTS.has(word.name) ? CONSTANTS.get(word.name) : this.#command({ words: [word] }, [], place);
    }
  }

  #write(text: string): void {
    this.text += text;
    if (this.text.length > TEXT_LENGTH_MAX) throw new TemplateError("the text is too long", 0);
  }
}

const CONSTANTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["nil", undefined],
]);

function assign(
  variables: Map<string, { value: unknown }>,
  { name, isNew }: NonNullable<Pipe["variable"]>,
  value: unknown,
): void {
  const known = variables.get(name);
  // An assignment reaches the block that the variable is of.
  if (known && !isNew) known.value = value;
  else variables.set(name, { value });
}

function fieldOf(value: unknown, path: readonly string[], at: number): unknown {
  let current = value;
  for (const name of path) {
    if (current instanceof Map) current = current.get(name);
    else if (current === undefined || current === null) {
      throw new TemplateError(`nil pointer evaluating .${path.join(".")}`, at);
    } else if (typeof current === "object" && !Array.isArray(current) && Object.hasOwn(current, name)) {
      current = (current as Readonly<Record<string, unknown>>)[name];
    } else throw new TemplateError(`executing <.${path.join(".")}>: there is no field ${JSON.stringify(name)}`, at);
  }
  return current;
}

function entriesOf(value: unknown, pipe: Pipe): readonly (readonly [unknown, unknown])[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map((each, i) => [i, each] as const);
  if (value instanceof Map) return sorted(value);
  throw new TemplateError(`range can't iterate over ${goText(value)}`, pipe.commands[0]?.words[0]?.at ?? 0);
}
