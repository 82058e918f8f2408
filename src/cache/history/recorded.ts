import type { AttributedCause, Digest, MissCause } from "../../base/index.js";
import type { CacheKey } from "../../solver/index.js";
import type { Causes, CurrentStep } from "./causes.js";
import { Differences } from "./difference.js";
import type { StepNode } from "./node.js";
import type { Parts } from "./parts.js";
import { Outline, type OutlinedStage, Reference } from "./reference.js";
import { SelectionDifferences } from "./selection-difference.js";
import { cut, plainCause, plainText, told, VALUE_MAX_LENGTH } from "./shown.js";

/** What a step was made of in one build, for people: names and values, some of which are cut. */
export interface RecordedStep {
  /** When the first build that had it so ended, of those that are remembered. Milliseconds since the epoch. */
  readonly at: number;
  readonly name: string;
  readonly facts: Readonly<Record<string, string>>;
}

/** The last two things that a step was, the later one first, and why they are not the same. */
export interface StepComparison {
  readonly newer: RecordedStep;
  readonly older: RecordedStep | undefined;
  readonly causes: readonly AttributedCause[];
  /** How many more causes there are than are listed. */
  readonly omitted: number;
}

/** What a step was in a build that had STAGES. */
export interface RecordedNode {
  readonly node: Digest;
  readonly at: number;
  readonly stages: Readonly<Record<string, Digest>>;
}

/** The last two things that a step was, by what it was in builds, the last one first; undefined where none has told its key. */
export function compareRecorded(had: readonly RecordedNode[], parts: Parts): StepComparison | undefined {
  const [newer, older] = lastTwo(had, parts);
  const node = newer && parts.node(newer.node);
  if (newer === undefined || node === undefined) return undefined;
  const step = recordedStep(node, newer.at, parts);
  const before = older && parts.node(older.node);
  if (older === undefined || before === undefined) return { newer: step, older: undefined, causes: [], omitted: 0 };
  const { list, more } = causesBetween(newer, older, parts);
  const causes = list.map(({ cause, step: of }) => ({
    cause: plainCause(cause),
    ...(of === undefined || of.digest === newer.node ? {} : { step: { name: of.name } }),
  }));
  return { newer: step, older: recordedStep(before, older.at, parts), causes, omitted: more };
}

/** One thing that a step was. */
interface Recorded extends RecordedNode {
  readonly key: CacheKey;
  /** Why steps ran again that gave another result, by what they were. */
  readonly reasons: ReadonlyMap<Digest, MissCause>;
}

/** The later one as the first build in a row had it, in which it came about: what changed after that is no cause of it. */
function lastTwo(had: readonly RecordedNode[], parts: Parts): readonly Recorded[] {
  let newer: Recorded | undefined;
  for (const each of had) {
    const key = parts.node(each.node)?.key;
    if (key === undefined) continue;
    const isSame = newer?.key === key;
    const reasons = new Map([...(isSame && newer ? newer.reasons : []), ...reasonsIn(each, parts)]);
    const recorded: Recorded = { ...each, key, reasons };
    if (newer !== undefined && !isSame) return [newer, recorded];
    newer = recorded;
  }
  return newer === undefined ? [] : [newer];
}

function reasonsIn({ stages }: RecordedNode, parts: Parts): readonly (readonly [Digest, MissCause])[] {
  const steps = Object.values(stages).flatMap((part) => parts.stage(part).steps);
  return steps.flatMap(({ node, reason }) => (node && reason ? [[node, reason] as const] : []));
}

function causesBetween(newer: Recorded, older: Recorded, parts: Parts): Causes {
  const stages = Object.entries(newer.stages).map(([stage, part]): OutlinedStage => {
    const { base, steps } = parts.stage(part);
    const outlined = steps.flatMap((each) => {
      const name = each.node && parts.node(each.node)?.name;
      return each.node === undefined || name === undefined ? [] : [{ ...each, id: each.node, name }];
    });
    return { stage, base, steps: outlined };
  });
  const reference = new Reference(new Outline(stages), older.stages, parts);
  const differences = new Differences(reference, parts, new SelectionDifferences(parts));
  const step = asCurrent(newer.node, { parts, reasons: newer.reasons, known: new Map() });
  return step ? differences.between(step, older.node) : { list: [], more: 0 };
}

interface Recording extends Pick<Recorded, "reasons"> {
  readonly parts: Parts;
  readonly known: Map<Digest, CurrentStep>;
}

/** A step of an earlier build as if it were one of this build's; what it is built on is read when it is asked for. */
function asCurrent(digest: Digest, recording: Recording): CurrentStep | undefined {
  const { parts, reasons, known } = recording;
  const made = known.get(digest);
  if (made) return made;
  const node = parts.node(digest);
  if (node === undefined) return undefined;
  const step: CurrentStep = {
    id: digest,
    digest,
    node,
    get inputs() {
      return node.inputs.flatMap((input) => asCurrent(input.node, recording) ?? []);
    },
    isStep: node.text !== undefined && node.source === undefined,
    forced: undefined,
    isFresh: false,
    reason: () => reasons.get(digest),
  };
  known.set(digest, step);
  return step;
}

function recordedStep(node: StepNode, at: number, parts: Parts): RecordedStep {
  const { name, key } = node;
  const facts = [
    ["key", key],
    ...flattened("", node.op),
    ...parts
      .variables(node.variables)
      .map((each) => [
        `${each.variable} ${each.name}`,
        each.isHidden ? "(not told)" : cut(each.shown, VALUE_MAX_LENGTH),
      ]),
    ...node.inputs.map(({ role, node: input, content }) => [role, content ?? sourceText(parts.node(input))]),
  ].filter((fact): fact is [string, string] => fact[1] !== undefined);
  return { at, name, facts: Object.fromEntries(facts) };
}

/** What is there by name and key, which is all that counts of it. */
function sourceText(node: StepNode | undefined): string | undefined {
  if (node?.source?.kind === "image") return `${plainText(node.source.reference)}@${node.source.digest}`;
  return node && [node.name, node.key].filter(Boolean).join(" ");
}

/** The members of an op that say something, each by its path. */
function flattened(path: string, value: unknown): (readonly [string, string])[] {
  if (value === null || value === undefined || value === "" || value === false) return [];
  if (typeof value !== "object") return [[path, told(plainText(String(value))).shown]];
  const text = Array.isArray(value) && value.every((item) => typeof item === "string") ? value.join(" ") : undefined;
  if (text !== undefined) return text === "" ? [] : [[path, told(plainText(text)).shown.slice(0, VALUE_MAX_LENGTH)]];
  if ("dest" in value && value.dest === "/" && "type" in value) return []; // the root of a process
  return Object.entries(value).flatMap(([name, member]) =>
    HIDDEN_MEMBERS.has(name)
      ? []
      : flattened(SILENT_MEMBERS.has(name) ? path : [path, name].filter(Boolean).join("."), member),
  );
}

/** Members that only the engine reads, and those whose names say nothing. */
const HIDDEN_MEMBERS: ReadonlySet<string> = new Set([
  ...["kind", "input", "secondaryInput", "output", "timestamp", "followSymlink", "dirCopyContents", "createDestPath"],
  ...["allowWildcard", "allowEmptyWildcard", "alwaysReplaceExistingDestPaths", "makeParents"],
]);
const SILENT_MEMBERS: ReadonlySet<string> = new Set(["exec", "file", "meta", "action"]);
