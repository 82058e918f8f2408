import { canonicalJson, type Digest } from "../../base/index.js";
import type { CacheKey } from "../../solver/index.js";
import type { CurrentStep } from "./causes.js";
import type { StepNode } from "./node.js";

/** Whether STEP is by its key, or by all that it is made of, what OLDER was, whose node is NODE. */
export function isSame(step: CurrentStep, older: Digest, node: StepNode): boolean {
  if (step.isFresh) return false;
  return step.digest === older || sameKey(step.node.key, node.key);
}

/** Whether two nodes, of which one has no key, say the same, but for what their inputs hold. */
export function isAlike(a: StepNode, b: StepNode): boolean {
  if ((a.key !== undefined && b.key !== undefined) || a.variables !== b.variables) return false;
  const shape = ({ op, source, inputs }: StepNode) =>
    canonicalJson({
      op: op ?? null,
      source,
      inputs: inputs.map(({ role, index, byContent }) => [role, index, byContent]),
    });
  return shape(a) === shape(b);
}

function sameKey(a: CacheKey | undefined, b: CacheKey | undefined): boolean {
  return a !== undefined && a === b;
}
