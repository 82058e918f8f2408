import type { AttributedCause, Digest } from "../../base/index.js";
import type { CurrentStep } from "./causes.js";
import { layerIndex, linkDifference } from "./linked-copy.js";
import { BASE_ROLE, type StepNode } from "./node.js";
import type { Parts } from "./parts.js";
import { EMPTY, type Reference, type RunStep } from "./reference.js";

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
    changes.push(...arrived(step, was, { reference, parts }));
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
    at = baseIn(parts.node(at));
  }
  return line;
}

/** How STEP came into its line, in which WAS, which it was, is not. */
export function arrived(
  { id, node, inputs }: CurrentStep,
  was: RunStep | undefined,
  { reference, parts }: Walking,
): readonly AttributedCause[] {
  const step = { name: node.name, digest: id };
  if (was === undefined) {
    const layer = inputs[layerIndex(node) ?? -1];
    const linked = layer ? otherLink(layer, reference.counterpart(layer.id), parts) : [];
    return linked.length > 0 ? linked : [{ cause: { kind: "step", change: "added" }, step }];
  }
  const older = was.node && parts.node(was.node);
  if (older === undefined) return [];
  return reference.isMoved(id) ? [movedCause(step.name, id, older)] : otherLink({ id, node }, was, parts);
}

/** That the copy STEP is linked, as WAS was not, or the other way round. */
function otherLink(
  { id, node }: Pick<CurrentStep, "id" | "node">,
  was: RunStep | undefined,
  parts: Parts,
): readonly AttributedCause[] {
  const older = was?.node && parts.node(was.node);
  const step = { name: node.name, digest: id };
  return older ? linkDifference(older, node).map((cause) => ({ cause, step })) : [];
}

/** What became of steps of the earlier build that are not in this line any more. */
function passed(line: readonly Digest[], reference: Reference, parts: Parts): readonly AttributedCause[] {
  return line.flatMap((older): readonly AttributedCause[] => {
    const node = parts.node(older);
    if (node === undefined || !isStepNode(node)) return [];
    const successor = reference.successor(older);
    if (successor) return reference.isMoved(successor.id) ? [movedCause(successor.name, successor.id, node)] : [];
    // Of a copy that is linked no longer the copy says so.
    const layer = node.inputs[layerIndex(node) ?? -1]?.node;
    if (layer && reference.successor(layer)) return [];
    return [{ cause: { kind: "step", change: "removed" }, step: { name: node.name } }];
  });
}

function movedCause(name: string, digest: Digest, older: StepNode): AttributedCause {
  return { cause: { kind: "step", change: "moved", ...placeIn(older.name) }, step: { name, digest } };
}

/** The place that a step's name says, as `2/6`. */
export function placeIn(name: string): { readonly from?: string } {
  const [, from] = /^\[[^\]]*?(\d+\/\d+)\]/.exec(name) ?? [];
  return from === undefined ? {} : { from };
}

/** What STEP changes. */
export function baseOf(step: CurrentStep): CurrentStep | undefined {
  return step.inputs[step.node.inputs.findIndex(({ role }) => role === BASE_ROLE)];
}

/** The same of a step of an earlier build. */
export function baseIn(node: StepNode | undefined): Digest | undefined {
  return node?.inputs.find(({ role }) => role === BASE_ROLE)?.node;
}
