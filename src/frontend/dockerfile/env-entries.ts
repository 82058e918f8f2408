/** The Env of an image config while it changes: `KEY=value`, each name in the place where it was first set. */
export interface EnvEntries {
  readonly list: readonly string[];
  has(key: string): boolean;
  /** Sets KEY: in its place where it was set before, else at the end. */
  set(key: string, value: string): void;
  clone(): EnvEntries;
}

export function createEnvEntries(list: readonly string[] = []): EnvEntries {
  const places = new Map<string, number>();
  for (const [place, entry] of list.entries()) {
    const [key] = variableOf(entry);
    // An image may set a name twice; only the first of them is replaced.
    if (!places.has(key)) places.set(key, place);
  }
  return new Entries([...list], places);
}

/** The name and value of a `KEY=value`; without `=` the value is empty. */
export function variableOf(entry: string): [key: string, value: string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
}

class Entries implements EnvEntries {
  readonly #list: string[];
  readonly #places: Map<string, number>;

  constructor(list: string[], places: Map<string, number>) {
    this.#list = list;
    this.#places = places;
  }

  get list(): readonly string[] {
    return this.#list;
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  set(key: string, value: string): void {
    const place = this.#places.get(key) ?? this.#list.length;
    this.#list[place] = `${key}=${value}`;
    this.#places.set(key, place);
  }

  clone(): EnvEntries {
    return new Entries([...this.#list], new Map(this.#places));
  }
}
