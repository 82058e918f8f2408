import { bytesOf, durationOf, EngineError, messageOf } from "../base/index.js";
import { parseUsageFilter, type SizeBound, type UsageFilter } from "../cache/index.js";
import { didYouMean } from "../frontend/index.js";
import type { TomlLines, TomlTable, TomlValue } from "../registry/index.js";

/** A file of configuration, and what is odd about it. */
export interface ConfigFile {
  readonly path: string;
  readonly lines: TomlLines;
  readonly onWarning: (message: string) => void;
}

/**
 * Reads values of a table as buildkitd takes them: numbers, or texts with a unit, under keys in any case. Mistakes are thrown as
 * `invalid`, with file and line. NAME is the table's, for people: `[gc]`.
 */
export class ConfigTable {
  readonly name: string;
  readonly #table: TomlTable;
  readonly #file: ConfigFile;
  /** Its keys by their names in small letters. */
  readonly #keys: ReadonlyMap<string, string>;

  constructor(table: TomlTable, name: string, file: ConfigFile) {
    this.name = name;
    this.#table = table;
    this.#file = file;
    this.#keys = new Map(Object.keys(table).map((key) => [key.toLowerCase(), key]));
  }

  /** Warns of the keys that are none of KNOWN. */
  expect(known: readonly string[]): void {
    const small = new Set(known.map((key) => key.toLowerCase()));
    for (const [key, written] of this.#keys) {
      if (small.has(key)) continue;
      const where = this.name === "" ? "" : ` of ${this.name}`;
      const guess = didYouMean(written, known);
      this.#file.onWarning(`${this.#place(written)}: ${written} is no key${where} that counts here${guess}`);
    }
  }

  has(key: string): boolean {
    return this.#keys.has(key.toLowerCase());
  }

  /** The table under KEY; an empty one where there is none. */
  table(key: string): ConfigTable {
    const value = this.#value(key) ?? {};
    if (!isTable(value)) throw this.#mistake(key, `a table: [${this.#below(key)}]`);
    return new ConfigTable(value, `[${this.#below(key)}]`, this.#file);
  }

  /** The array of tables under KEY; undefined where there is none. */
  tables(key: string): readonly ConfigTable[] | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    const name = `[[${this.#below(key)}]]`;
    if (!Array.isArray(value)) throw this.#mistake(key, `tables: ${name}`);
    return value.map((each: TomlValue) => {
      if (!isTable(each)) throw this.#mistake(key, `tables: ${name}`);
      return new ConfigTable(each, name, this.#file);
    });
  }

  boolean(key: string): boolean | undefined {
    const value = this.#value(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#mistake(key, "true or false");
  }

  /** Undefined for 0, too, which stands for no bound. */
  size(key: string): SizeBound | undefined {
    const value = this.#value(key);
    if (value === undefined || value === 0) return undefined;
    const bound = sizeBound(String(value));
    if (bound === undefined) throw this.#mistake(key, 'a size such as 512000000, "20GB" or "10%"');
    return bound;
  }

  /** Milliseconds. */
  duration(key: string): number | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    const ms = durationOf(String(value));
    if (ms === undefined) throw this.#mistake(key, 'a duration such as "48h", or seconds');
    return ms;
  }

  filters(key: string): readonly UsageFilter[] {
    const value = this.#value(key) ?? [];
    if (!Array.isArray(value)) throw this.#mistake(key, 'a list such as ["type==source.local"]');
    return value.map((text) => {
      try {
        return parseUsageFilter(String(text));
      } catch (error) {
        throw new EngineError("invalid", `${this.#place(key)}: ${messageOf(error)}`, { cause: error });
      }
    });
  }

  #value(key: string): TomlValue | undefined {
    const written = this.#keys.get(key.toLowerCase());
    return written === undefined ? undefined : this.#table[written];
  }

  #below(key: string): string {
    return [...this.name.replace(/[[\]]/g, "").split("."), key].filter(Boolean).join(".");
  }

  #place(key: string): string {
    const line = this.#file.lines.get(this.#table)?.get(this.#keys.get(key.toLowerCase()) ?? key);
    return line === undefined ? this.#file.path : `${this.#file.path}, line ${line}`;
  }

  #mistake(key: string, wanted: string): EngineError {
    const where = this.name === "" ? "" : ` of ${this.name}`;
    return new EngineError("invalid", `${this.#place(key)}: ${key}${where} must be ${wanted}`);
  }
}

function isTable(value: TomlValue): value is TomlTable {
  return typeof value === "object" && !Array.isArray(value);
}

/** Undefined for what is neither bytes nor a share of the disk. */
function sizeBound(text: string): SizeBound | undefined {
  const [, percent] = /^(\d{1,3})%$/.exec(text) ?? [];
  if (percent !== undefined) return Number(percent) <= 100 ? { percent: Number(percent) } : undefined;
  const bytes = bytesOf(text);
  return bytes === undefined ? undefined : { bytes };
}
