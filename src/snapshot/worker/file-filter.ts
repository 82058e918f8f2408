import { createPatternMatcher, EngineError, type MatchState, type PatternMatcher } from "../../base/index.js";
import { type BytePath, toText } from "./bytes.js";

/** What of a directory is selected: by patterns to include, of which one must match, and patterns to exclude, of which none may. */
export class Filter {
  readonly #includes: PatternMatcher | undefined;
  readonly #excludes: PatternMatcher | undefined;

  constructor(includes: readonly string[], excludes: readonly string[]) {
    this.#includes = matcher("include", includes);
    this.#excludes = matcher("exclude", excludes);
  }

  get selectsAll(): boolean {
    return this.#includes === undefined && this.#excludes === undefined;
  }

  /** Whether the path below the source is selected, and whether anything below it might be. */
  step(path: BytePath, parent: FilterState): FilterStep {
    if (this.selectsAll) return ALL;
    const text = toText(path);
    const include = this.#includes?.step(text, parent.include);
    const exclude = this.#excludes?.step(text, parent.exclude);
    const excluded = exclude?.matched ?? false;
    const selected = (include?.matched ?? true) && !excluded;
    const descend =
      selected || ((include?.matched || this.#mayIncludeBelow(text)) && !(excluded && !this.#mayExceptBelow(text)));
    return { selected, descend, state: { include: include?.state, exclude: exclude?.state } };
  }

  #mayExceptBelow(path: string): boolean {
    return this.#excludes?.mayExceptBelow(path) ?? false;
  }

  #mayIncludeBelow(directory: string): boolean {
    return this.#includes?.mayMatchBelow(directory) ?? true;
  }
}

/** What a walker hands from a directory to what is in it. */
export interface FilterState {
  readonly include: MatchState | undefined;
  readonly exclude: MatchState | undefined;
}

export interface FilterStep {
  readonly selected: boolean;
  readonly descend: boolean;
  readonly state: FilterState;
}

export const FILTER_START: FilterState = { include: undefined, exclude: undefined };
const ALL: FilterStep = { selected: true, descend: true, state: FILTER_START };

function matcher(what: string, patterns: readonly string[]): PatternMatcher | undefined {
  if (patterns.length === 0) return undefined;
  const result = createPatternMatcher(patterns);
  if (!result.ok) throw new EngineError("invalid", `invalid ${what} patterns [${patterns.join(" ")}]: ${result.error}`);
  return result.matcher;
}
