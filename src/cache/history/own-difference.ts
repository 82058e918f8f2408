import type { MissCause } from "../../base/index.js";
import type { CurrentStep } from "./causes.js";
import { baseIn, baseOf } from "./chain.js";
import { sourceDifferences } from "./file-difference.js";
import type { StepNode } from "./node.js";
import { opDifference } from "./op-difference.js";
import { isEqual } from "./op-members.js";
import type { Parts } from "./parts.js";
import { sourceDifference } from "./source-difference.js";
import { derivedDifference, inBoth, inheritedNames, isReordered, variableDifference } from "./variable-difference.js";
import { isWrittenAlike, writtenIn } from "./written.js";

/** What of a step itself differs, without what it reads. */
export interface OwnDifference {
  readonly causes: readonly MissCause[];
  /** Parts of its instruction that differ, as they are written or by a variable. */
  readonly changed: readonly string[];
  /** Whether other stages were chosen for it to read. */
  readonly isChosen: boolean;
  /** Whether a part of the instruction, written as it was, differs because of a variable. */
  readonly isFollowing: (part: string) => boolean;
}

const NOTHING: OwnDifference = { causes: [], changed: [], isChosen: false, isFollowing: () => false };

export function ownDifference(step: CurrentStep, older: StepNode, parts: Parts): OwnDifference {
  const { node } = step;
  const chosen = variableDifference(older.choosers ?? [], node.choosers ?? []);
  const settings = isEqual(older.op, node.op) ? NO_SETTINGS : settingsDifference(older, node);
  const variables = [...environmentDifference(step, older, parts), ...settings.causes, ...chosen];
  const [wasText, text] = [writtenIn(older), writtenIn(node)];
  const isFollowing = (part: string) =>
    settings.parts.has(part) || (variables.length > 0 && isWrittenAlike(wasText, text, part));
  const isSource = node.source !== undefined || older.source !== undefined;
  const said = isSource ? sourceDifference(older, node) : instructionDifference(step, older, parts);
  if (isSource && isNamedByVariables(older, node, variables)) return { ...NOTHING, causes: variables };
  const own = [...variables, ...said.filter((cause) => cause.kind !== "instruction" || !isFollowing(cause.part))];
  // An ONBUILD is the image's.
  const isOnBuild = step.isStep && node.text === undefined && own.length > 0;
  const image = isOnBuild ? imageDifference(step, older, parts) : [];
  const causes = image.length > 0 ? image : own;
  const changed = causes.flatMap((cause) => (cause.kind === "instruction" ? cause.part : []));
  // A path may have a variable in it.
  if (variables.length > 0 && node.text?.mark === older.text?.mark) changed.push("source");
  return { causes, changed, isChosen: chosen.length > 0, isFollowing };
}

function instructionDifference({ node, inputs }: CurrentStep, older: StepNode, parts: Parts): readonly MissCause[] {
  const isOtherContent = node.inputs.some(({ role, content }) => {
    const before = older.inputs.find((input) => input.role === role)?.content;
    return content !== undefined && before !== undefined && content !== before;
  });
  const causes = [...opDifference(older, node)];
  // Of what is read by its content the op has the last names only.
  if (causes.length === 0 && isOtherContent) causes.push(...sourceDifferences(older, node));
  const isOtherAddress = inputs.some(({ node: { source } }, i) => {
    const before = older.inputs.find(({ role }) => role === node.inputs[i]?.role);
    const was = before && parts.node(before.node)?.source;
    return source?.kind === "address" && was?.kind === "address" && source.address !== was.address;
  });
  // The address is told.
  return isOtherAddress ? causes.filter(({ part }) => part !== "source") : causes;
}

function environmentDifference(step: CurrentStep, older: StepNode, parts: Parts): readonly MissCause[] {
  const { node } = step;
  if (node.variables === older.variables) return [];
  const all = [parts.variables(older.variables), parts.variables(node.variables)] as const;
  // An instruction that is written in another way may name others: those are still what they were.
  const [was, is] = isExec(node) || node.text?.mark === older.text?.mark ? all : inBoth(...all);
  const changes = variableDifference(was, is);
  if (changes.length === 0) return isExec(node) && isReordered(was, is) ? [REORDERED] : [];
  const inherited = inheritedNames(was, is);
  if (!changes.some(({ name }) => inherited.has(name))) return changes;
  const image = imageDifference(step, older, parts);
  return image.length === 0 ? changes : [...image, ...changes.filter(({ name }) => !inherited.has(name))];
}

/** How the image that STEP is built on in the end differs: its key tells of its files alone. */
function imageDifference(step: CurrentStep, older: StepNode, parts: Parts): readonly MissCause[] {
  let at = step;
  for (let below = baseOf(at); below !== undefined; below = baseOf(at)) at = below;
  let before: StepNode | undefined = older;
  for (let below = baseIn(before); below !== undefined; below = baseIn(before)) before = parts.node(below);
  if (at.node.source?.kind !== "image" || before?.source?.kind !== "image") return [];
  const variables = variableDifference(parts.variables(before.variables), parts.variables(at.node.variables));
  return isNamedByVariables(before, at.node, variables) ? variables : sourceDifference(before, at.node);
}

/** Whether it is for VARIABLES that an image is another one: those that its FROM names. */
function isNamedByVariables(
  { source: was }: StepNode,
  { source: is }: StepNode,
  variables: readonly MissCause[],
): boolean {
  return variables.length > 0 && was?.kind === "image" && is?.kind === "image" && was.reference !== is.reference;
}

/** A process sees its variables in their order. */
const REORDERED: MissCause = { kind: "instruction", part: "order of variables" };
function isExec({ op }: StepNode): boolean {
  return typeof op === "object" && op !== null && "exec" in op;
}

const NO_SETTINGS: SettingsDifference = { causes: [], parts: new Set() };

interface SettingsDifference {
  readonly causes: readonly MissCause[];
  /** Those that differ for these causes. */
  readonly parts: ReadonlySet<string>;
}

/** The variables for which WORKDIR and USER are others although they are written as they were. */
function settingsDifference(older: StepNode, newer: StepNode): SettingsDifference {
  const found = (["WORKDIR", "USER"] as const).flatMap((setting) => {
    const causes = derivedDifference(older.settings?.[setting], newer.settings?.[setting]);
    return causes && causes.length > 0 ? [{ setting, causes }] : [];
  });
  return { causes: found.flatMap(({ causes }) => causes), parts: new Set(found.map(({ setting }) => setting)) };
}
