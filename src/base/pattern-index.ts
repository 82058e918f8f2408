import type { PathPattern } from "./path-pattern.js";

/** Finds, of many patterns, those that might match a path, without looking at each: an ignore file may have 100,000 lines. */
export interface PathIndex {
  /** The patterns that might match one of PATHS, which all lie below the same first name, by number, rising. */
  candidates(paths: readonly string[]): readonly number[];
  /** Whether a pattern could match something below the directory PATH. */
  mayMatchBelow(path: string): boolean;
}

export function createPathIndex(patterns: readonly PathPattern[]): PathIndex {
  return new HashedPatterns(patterns);
}

class HashedPatterns implements PathIndex {
  readonly #patterns: readonly PathPattern[];
  /** Exact patterns by what they match. */
  readonly #exact = new Map<string, number[]>();
  /** The others, by the first name of what they match. */
  readonly #below = new Map<string, number[]>();
  /** Those that may match anywhere. */
  readonly #anywhere: number[] = [];
  /** Exact patterns in the order of their texts. */
  #sorted: readonly string[] | undefined;

  constructor(patterns: readonly PathPattern[]) {
    this.#patterns = patterns;
    for (const [n, { text, isExact, firstName }] of patterns.entries()) {
      if (isExact) listAt(this.#exact, text).push(n);
      else if (firstName === undefined) this.#anywhere.push(n);
      else listAt(this.#below, firstName).push(n);
    }
  }

  candidates(paths: readonly string[]): readonly number[] {
    const below = this.#below.get(firstNameOf(paths[0] ?? ""));
    const found = paths.flatMap((path) => this.#exact.get(path) ?? []);
    if (found.length === 0 && below === undefined) return this.#anywhere;
    return [...this.#anywhere, ...(below ?? []), ...found].sort((a, b) => a - b);
  }

  mayMatchBelow(path: string): boolean {
    const prefix = path === "" || path === "." ? "" : `${path}/`;
    if (this.#hasExactBeyond(prefix)) return true;
    const below = prefix === "" ? [...this.#below.values()].flat() : (this.#below.get(firstNameOf(prefix)) ?? []);
    return [...this.#anywhere, ...below].some((n) => this.#patterns[n]?.couldMatchBeyond(prefix) ?? false);
  }

  #hasExactBeyond(prefix: string): boolean {
    this.#sorted ??= [...this.#exact.keys()].sort();
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] ?? "") > prefix) high = middle;
      else low = middle + 1;
    }
    return this.#sorted[low]?.startsWith(prefix) ?? false;
  }
}

function firstNameOf(path: string): string {
  const slash = path.indexOf("/");
  return slash < 0 ? path : path.slice(0, slash);
}

function listAt(lists: Map<string, number[]>, key: string): number[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
