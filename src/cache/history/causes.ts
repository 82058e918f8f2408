import { type AttributedCause, causeIdentity, type Digest, type MissCause } from "../../base/index.js";
import type { StepNode } from "./node.js";

/** A vertex of the build under way, or of the newer of two that are compared. */
export interface CurrentStep {
  readonly id: Digest;
  readonly digest: Digest;
  readonly node: StepNode;
  /** By place, as the node's. */
  readonly inputs: readonly CurrentStep[];
  readonly isStep: boolean;
  readonly forced: { readonly stage?: string } | undefined;
  /** Counted by what it has now, because it or what it is built on ran whatever was in the cache. */
  readonly isFresh: boolean;
  /** Why it ran, where it did. */
  readonly reason: () => MissCause | undefined;
}

/** Root causes, each once, and how many more there are than are listed. */
export interface Causes {
  readonly list: readonly AttributedCause[];
  readonly more: number;
}

export const NONE: Causes = { list: [], more: 0 };

/** Causes of one step that are kept while it is looked for the causes of others. */
const CAUSES_MAX = 64;
/** What lies in sources, and in what is made for a step of the Dockerfile, is the affair of the first step upon it. */
export function attributed(each: AttributedCause, { isStep, id, node }: CurrentStep): AttributedCause {
  if (each.step !== undefined || !isStep) return each;
  return { cause: each.cause, step: { name: node.name, digest: id } };
}

/** All of them as those of STEP where they are no other's. */
export function merged(step: CurrentStep, all: readonly Causes[]): Causes {
  const known = new Map<string, AttributedCause>();
  for (const { list } of all)
    for (const cause of list) {
      const each = attributed(cause, step);
      const id = causeIdentity(each, step.id);
      if (!known.has(id)) known.set(id, each);
    }
  const list = [...known.values()].slice(0, CAUSES_MAX);
  return { list, more: all.reduce((sum, { more }) => sum + more, known.size - list.length) };
}
