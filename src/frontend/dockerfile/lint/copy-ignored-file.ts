import { cleanPath, type PatternMatcher } from "../../../base/index.js";
import { quote } from "../quote.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/**
 * COPY and ADD of what `.dockerignore` leaves out. With exceptions in it nothing is said: they can't be judged by a
 * name alone.
 */
export const copyIgnoredFile: Rule = {
  name: "CopyIgnoredFile",
  description: "Attempting to Copy file that is excluded by .dockerignore",
  url: ruleUrl("copy-ignored-file"),
  phase: "convert",
  *check({ stages, facts }) {
    const matcher = facts?.dockerignore;
    if (!matcher || matcher.hasExceptions) return;
    for (const stage of stages) {
      for (const instruction of stage.instructions) {
        if (instruction.kind !== "copy" && instruction.kind !== "add") continue;
        const verb = instruction.kind === "copy" ? "Copy" : "Add";
        for (const source of stage.facts.expanded.get(instruction) ?? []) {
          const path = cleanPath(source);
          if (!isIgnored(path, matcher)) continue;
          const culprit = instruction.sources.find(({ text }) => text === source)?.range;
          const message = `Attempting to ${verb} file ${quote(path)} that is excluded by .dockerignore`;
          yield finding(instruction, message, { culprit });
        }
      }
    }
  },
};

/** Patterns that leave out all of the context, and so make even COPY . pointless. */
const EVERYTHING: ReadonlySet<string> = new Set(["*", "**", "**/*"]);

function isIgnored(path: string, matcher: PatternMatcher): boolean {
  const isRoot = path === "." || path === "/";
  if (isRoot && !matcher.patterns.some((pattern) => EVERYTHING.has(pattern))) return false;
  return matcher.matches(path);
}
