import { EngineError } from "../base/index.js";

/** What a table of a TOML document holds. */
export type TomlValue = string | boolean | number | readonly TomlValue[] | TomlTable;
export type TomlTable = { [key: string]: TomlValue };

/** The lines (from 1) at which the keys of a document's tables stand, by table. */
export type TomlLines = Map<TomlTable, Map<string, number>>;

/**
 * Reads the part of TOML 1.0 that configuration of registries is written in: tables, arrays of tables, bare and quoted keys, strings on
 * one line, integers, booleans, arrays. Throws `invalid`, with ORIGIN and the line, for all else and for what is said twice. LINES is
 * filled.
 */
export function parseToml(text: string, origin: string, lines?: TomlLines): TomlTable {
  return new TomlParser(text, origin, lines).parse();
}

/** Arrays within arrays. */
const ARRAY_DEPTH_MAX = 16;
const ESCAPES: Readonly<Record<string, string>> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", '"': '"', "\\": "\\" };

class TomlParser {
  readonly #text: string;
  readonly #origin: string;
  #position = 0;
  /** Tables that a header has named: none may do so twice. */
  readonly #named = new Set<object>();

  readonly #lines: TomlLines | undefined;

  constructor(text: string, origin: string, lines: TomlLines | undefined) {
    this.#text = text;
    this.#origin = origin;
    this.#lines = lines;
  }

  parse(): TomlTable {
    const root = emptyTable();
    let table = root;
    for (this.#skip(LINES); this.#position < this.#text.length; this.#skip(LINES)) {
      const header = this.#take(/\[\[?/y);
      if (header === undefined) this.#assign(table);
      else table = this.#header(root, header);
      this.#skip(BLANKS);
      if (this.#position < this.#text.length && this.#take(/\r?\n/y) === undefined)
        throw this.#mistake("a line goes on");
    }
    return root;
  }

  #header(root: TomlTable, bracket: string): TomlTable {
    const keys = this.#keys();
    if (this.#take(bracket === "[" ? /\]/y : /\]\]/y) === undefined) throw this.#mistake("a table's name has no end");
    const last = keys.pop() ?? "";
    const parent = keys.reduce((table, key) => this.#step(table, key), root);
    this.#note(parent, last);
    if (bracket === "[[") {
      const list = parent[last] ?? [];
      if (!Array.isArray(list) || this.#named.has(list)) throw this.#mistake(`${last} is no array of tables`);
      const table = emptyTable();
      parent[last] = [...list, table];
      return table;
    }
    const table = this.#step(parent, last);
    if (this.#named.has(table)) throw this.#mistake(`the table ${last} is there twice`);
    this.#named.add(table);
    return table;
  }

  /** The table KEY of TABLE, made if need be; of an array of tables its last. */
  #step(table: TomlTable, key: string): TomlTable {
    if (table[key] === undefined) this.#note(table, key);
    table[key] ??= emptyTable();
    const value = table[key];
    const next = Array.isArray(value) ? value.at(-1) : value;
    if (typeof next !== "object" || Array.isArray(next)) throw this.#mistake(`${key} is no table`);
    return next as TomlTable;
  }

  #assign(table: TomlTable): void {
    const keys = this.#keys();
    if (this.#take(/=/y) === undefined) throw this.#mistake("a key has no value");
    this.#skip(BLANKS);
    const last = keys.pop() ?? "";
    const parent = keys.reduce((outer, key) => this.#step(outer, key), table);
    if (parent[last] !== undefined) throw this.#mistake(`${last} is there twice`);
    this.#note(parent, last);
    const value = this.#value(0);
    if (Array.isArray(value)) this.#named.add(value);
    parent[last] = value;
  }

  #keys(): string[] {
    const keys: string[] = [];
    do {
      this.#skip(BLANKS);
      const key = this.#take(/[A-Za-z0-9_-]+/y) ?? this.#string();
      if (key === undefined) throw this.#mistake("a key is missing");
      keys.push(key);
      this.#skip(BLANKS);
    } while (this.#take(/\./y) !== undefined);
    return keys;
  }

  #value(depth: number): TomlValue {
    const text = this.#string();
    if (text !== undefined) return text;
    const word = this.#take(/(?:true|false|[+-]?\d{1,15})(?=[\s,\]#]|$)/y);
    if (word !== undefined) return word === "true" ? true : word === "false" ? false : Number(word);
    if (this.#take(/\[/y) === undefined || depth === ARRAY_DEPTH_MAX) throw this.#mistake("a value can't be read");
    const items: TomlValue[] = [];
    for (this.#skip(LINES); this.#take(/\]/y) === undefined; this.#skip(LINES)) {
      items.push(this.#value(depth + 1));
      this.#skip(LINES);
      if (this.#take(/,/y) === undefined && this.#text[this.#position] !== "]")
        throw this.#mistake("an array has no end");
    }
    return items;
  }

  #string(): string | undefined {
    const literal = this.#take(/'[^'\n]*'/y);
    if (literal !== undefined) return literal.slice(1, -1);
    const basic = this.#take(/"(?:[^"\\\n]|\\.)*"/y);
    return basic?.slice(1, -1).replace(/\\(?:u([0-9A-Fa-f]{4})|(.))/g, (_, hex: string | undefined, char: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      const escaped = ESCAPES[char];
      if (escaped === undefined) throw this.#mistake(`\\${char} stands for nothing`);
      return escaped;
    });
  }

  #skip(pattern: RegExp): void {
    this.#take(pattern);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text)?.[0];
    this.#position += found?.length ?? 0;
    return found;
  }

  #note(table: TomlTable, key: string): void {
    if (!this.#lines) return;
    const known = this.#lines.get(table) ?? new Map<string, number>();
    this.#lines.set(table, known.set(key, this.#line()));
  }

  #line(): number {
    return this.#text.slice(0, this.#position).split("\n").length;
  }

  #mistake(what: string): EngineError {
    return new EngineError("invalid", `${this.#origin}, line ${this.#line()}: ${what}`);
  }
}

const BLANKS = /[ \t]*(?:#[^\n]*)?/y;
const LINES = /(?:[ \t\r\n]|#[^\n]*)*/y;

/** Without a prototype, so that every key is just a key. */
function emptyTable(): TomlTable {
  return Object.create(null) as TomlTable;
}
