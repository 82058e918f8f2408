import { createPatternMatcher, type PatternMatcher } from "../../base/index.js";
import type { StepNode } from "./node.js";
import { list, members } from "./op-members.js";

/** Which files of its source a copy reads. */
export interface Choice {
  selects(path: string): boolean;
}

/** What NODE chooses by its sources and its --exclude; undefined where that is not known. */
export function choiceOf({ op, taken }: StepNode): Choice | undefined {
  if (taken === undefined) return undefined;
  const [first] = list(members(op).file);
  const excluded = list(members(members(first).action).excludePatterns).map(String);
  const excludes = excluded.length === 0 ? undefined : matcherOf(excluded);
  if (excluded.length > 0 && excludes === undefined) return undefined;
  const sources = taken.map((source) => namesIn(source.replace("/./", "/")));
  const isTaken = (names: readonly string[], source: readonly string[]) => {
    const top = names.slice(0, source.length).join("/");
    if (names.length < source.length || (top !== source.join("/") && !matcherOf([source.join("/")])?.matches(top)))
      return false;
    const below = names.slice(source.length).join("/");
    return below === "" || !excludes?.matches(below);
  };
  return {
    selects(path) {
      const names = namesIn(path);
      return sources.some((source) => isTaken(names, source));
    },
  };
}

function namesIn(path: string): readonly string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function matcherOf(patterns: readonly string[]): PatternMatcher | undefined {
  const result = createPatternMatcher(patterns);
  return result.ok ? result.matcher : undefined;
}
