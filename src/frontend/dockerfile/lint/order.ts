import type { Instruction } from "../ast.js";
import { RULES } from "./registry.js";
import type { Finding, LintContext, Phase, Rule } from "./rule.js";

/** Something that a rule has found. */
export interface Found {
  readonly rule: Rule;
  readonly finding: Finding;
}

/** FOUND in the order in which a build comes upon it: by phase, then by instruction, then as the rules have it. */
export function inOrder(found: readonly Found[], context: LintContext): readonly Found[] {
  if (found.length === 0) return found;
  const places = placesOf(context);
  const keys = new Map(found.map((each) => [each, keyOf(each, places)]));
  return found.toSorted((a, b) => compare(keys.get(a) ?? [], keys.get(b) ?? []));
}

const PHASES: readonly Phase[] = ["read", "parse", "names", "casing", "defaults", "from", "resolve", "convert"];

function keyOf({ rule, finding }: Found, places: ReadonlyMap<Instruction, number>): readonly number[] {
  const place = finding.at === undefined ? finding.range.start.line : (places.get(finding.at) ?? 0);
  return [PHASES.indexOf(rule.phase), place, finding.order ?? 0, RULES.indexOf(rule)];
}

/** The place of each instruction: triggers stand between the FROM that fires them and what follows. */
function placesOf({ file, stages }: LintContext): ReadonlyMap<Instruction, number> {
  const converted = new Map(stages.map(({ node, instructions }) => [node, instructions]));
  const inStages = file.stages.flatMap((node) => {
    const known = new Set<Instruction>([...(converted.get(node) ?? []), ...node.instructions]);
    return [node.from, ...known];
  });
  return new Map([...file.globalArgs, ...inStages].map((instruction, place) => [instruction, place]));
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
