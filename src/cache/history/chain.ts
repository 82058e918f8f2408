import type { AttributedCause, Digest } from "../../base/index.js";
import type { CurrentStep } from "./difference.js";
import { BASE_ROLE, type StepNode } from "./node.js";
import type { Parts } from "./parts.js";
import { EMPTY, type OutlinedStep, type Reference } from "./reference.js";

/** Two lines of steps, each built on the next, by their first ones. */
export interface Lines {
  readonly step: CurrentStep | undefined;
  readonly older: Digest | undefined;
  /** The stage of what is built on STEP, where that is in the same line. */
  readonly stage: string | undefined;
}

export interface Walking {
  readonly reference: Reference;
  readonly parts: Parts;
}

/** What was added, removed or moved before two lines come to steps that are one another's; none where they never do. */
export interface Meeting {
  readonly changes: readonly AttributedCause[];
  readonly pair: { readonly step: CurrentStep; readonly older: Digest } | undefined;
}

/** Goes back along both lines to where they meet: at a step that is the other's, or at what they begin with. */
export function walkBack({ step: first, older, stage }: Lines, { reference, parts }: Walking): Meeting {
  if (older !== undefined && first?.isStep && stage === reference.stageOf(first.id))
    if (reference.counterpart(first.id)?.node === older) return { changes: [], pair: { step: first, older } };
  const line = lineOf(older, parts);
  const changes: AttributedCause[] = [];
  let step = first;
  let left = stage;
  for (; step?.isStep; step = baseOf(step)) {
    const here = reference.stageOf(step.id);
    if (left !== undefined && here !== left) {
      const other = reference.baseChange(left);
      if (other) return { changes: [...changes, ...other.map((cause) => ({ cause }))], pair: undefined };
    }
    left = here;
    const was = reference.counterpart(step.id);
    const at = was?.node === undefined ? -1 : line.indexOf(was.node);
    if (at >= 0 && was?.node !== undefined) {
      changes.push(...passed(line.slice(0, at), reference, parts));
      return { changes, pair: { step, older: was.node } };
    }
    const { id, node } = step;
    if (was === undefined)
      changes.push({ cause: { kind: "step", change: "added" }, step: { name: node.name, digest: id } });
    else if (was.node !== undefined && reference.isMoved(id))
      changes.push(movedCause({ id, name: node.name }, parts.node(was.node)));
  }
  const other = left === undefined ? undefined : reference.baseChange(left);
  if (other) return { changes: [...changes, ...other.map((cause) => ({ cause }))], pair: undefined };
  // What is no step is what a stage begins with, or is made for a step.
  const beginning = line.find((digest) => !isStepNode(parts.node(digest)));
  changes.push(...passed(line, reference, parts), ...emptied(step, beginning, parts));
  return { changes, pair: step === undefined || beginning === undefined ? undefined : { step, older: beginning } };
}

function isStepNode(node: StepNode | undefined): boolean {
  return node?.text !== undefined && node.source === undefined;
}

/** A beginning that only one of them has. */
function emptied(step: CurrentStep | undefined, older: Digest | undefined, parts: Parts): readonly AttributedCause[] {
  if ((step === undefined) === (older === undefined)) return [];
  const from = (older && parts.node(older)?.name) ?? EMPTY;
  const to = step?.node.name ?? EMPTY;
  return [{ cause: { kind: "image", reference: to, from, to } }];
}

function lineOf(older: Digest | undefined, parts: Parts): readonly Digest[] {
  const line: Digest[] = [];
  for (let at = older; at !== undefined; ) {
    line.push(at);
    at = parts.node(at)?.inputs.find(({ role }) => role === BASE_ROLE)?.node;
  }
  return line;
}

/** What became of steps of the earlier build that are not in this line any more. */
function passed(line: readonly Digest[], reference: Reference, parts: Parts): readonly AttributedCause[] {
  return line.flatMap((older): readonly AttributedCause[] => {
    const node = parts.node(older);
    if (node === undefined || !isStepNode(node)) return [];
    const successor = reference.successor(older);
    if (successor === undefined) return [{ cause: { kind: "step", change: "removed" }, step: { name: node.name } }];
    return reference.isMoved(successor.id) ? [movedCause(successor, node)] : [];
  });
}

function movedCause({ id, name }: Pick<OutlinedStep, "id" | "name">, older: StepNode | undefined): AttributedCause {
  return { cause: { kind: "step", change: "moved", ...placeIn(older?.name ?? "") }, step: { name, digest: id } };
}

/** The place that a step's name says, as `2/6`. */
export function placeIn(name: string): { readonly from?: string } {
  const [, from] = /^\[[^\]]*?(\d+\/\d+)\]/.exec(name) ?? [];
  return from === undefined ? {} : { from };
}

function baseOf(step: CurrentStep): CurrentStep | undefined {
  return step.inputs[step.node.inputs.findIndex(({ role }) => role === BASE_ROLE)];
}
