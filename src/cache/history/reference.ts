import { type Digest, lazy, type MissCause } from "../../base/index.js";
import { type Aligned, type Alignment, align } from "./alignment.js";
import type { NotedVariable } from "./node.js";
import type { Parts } from "./parts.js";
import { variableDifference } from "./variable-difference.js";

/** What a stage begins with, as its FROM names it. */
export interface StageBase {
  readonly name: string;
  /** Those that the name depends on. */
  readonly variables: readonly NotedVariable[];
}

/** A stage of the build that is explained. */
export interface OutlinedStage {
  /** Its name or number, and the platform. */
  readonly stage: string;
  readonly base: StageBase | undefined;
  readonly steps: readonly OutlinedStep[];
}

export interface OutlinedStep extends Aligned {
  readonly id: Digest;
  /** The line shown to people. */
  readonly name: string;
}

/** A stage as an earlier build had it. */
export interface StageRun {
  readonly base?: StageBase;
  readonly steps: readonly RunStep[];
}

/** A step of the Dockerfile, in the order of the stage, and what it was, where that build has looked at it. */
export interface RunStep extends Aligned {
  readonly node?: Digest;
  /** Absent where the build had its result. */
  readonly lacks?: "failed" | "idle";
  /** Why it ran again, where it gave another result then. */
  readonly reason?: MissCause;
}

/** The stages of the build that is explained, with what is found out once for all that it is compared with. */
export class Outline {
  readonly stages: ReadonlyMap<string, OutlinedStage>;
  readonly #places = new Map<Digest, { readonly stage: OutlinedStage; readonly order: number }>();
  readonly #alignments = new Map<string, Alignment>();

  constructor(stages: readonly OutlinedStage[]) {
    this.stages = new Map(stages.map((stage) => [stage.stage, stage]));
    for (const stage of stages)
      for (const [order, { id }] of stage.steps.entries()) this.#places.set(id, { stage, order });
  }

  placeOf(id: Digest): { readonly stage: OutlinedStage; readonly order: number } | undefined {
    return this.#places.get(id);
  }

  /** STAGE beside RUN, which is kept under the digest PART. */
  alignment(stage: OutlinedStage, part: Digest, run: StageRun): Alignment {
    const name = `${stage.stage} ${part}`;
    const known = this.#alignments.get(name);
    if (known) return known;
    const made = align(stage.steps, run.steps);
    this.#alignments.set(name, made);
    return made;
  }
}

/** The empty file system, in the words of the Dockerfile. */
export const EMPTY = "scratch";

const NO_PAIRS: Alignment = { pairs: new Map(), moved: new Set() };

/** More stages than these without a namesake are not compared by their steps. */
const RENAMED_MAX = 100;

/** One earlier build beside the one that is explained: which of its steps each step was. */
export class Reference {
  readonly #outline: Outline;
  readonly #parts: Parts;
  readonly #older: Readonly<Record<string, Digest>>;
  /** Names of this build's stages to those of the earlier one. */
  readonly #names: ReadonlyMap<string, string>;
  readonly #newer = new Map<Digest, OutlinedStep>();
  readonly #olderStages = new Map<Digest, string>();

  /** OLDER: the part of each of its stages. */
  constructor(outline: Outline, older: Readonly<Record<string, Digest>>, parts: Parts) {
    this.#outline = outline;
    this.#parts = parts;
    this.#older = older;
    this.#names = pairedNames(outline, older, parts);
    for (const [name, part] of Object.entries(older))
      for (const { node } of parts.stage(part).steps) if (node) this.#olderStages.set(node, name);
    for (const stage of outline.stages.values())
      for (const step of stage.steps) {
        const node = this.counterpart(step.id)?.node;
        if (node) this.#newer.set(node, step);
      }
  }

  /** Whether the earlier build had the stage of the step ID. */
  hasStage(id: Digest): boolean {
    return this.#names.has(this.#outline.placeOf(id)?.stage.stage ?? "");
  }

  /** What the step ID was; undefined where there was none. */
  counterpart(id: Digest): RunStep | undefined {
    const place = this.#outline.placeOf(id);
    const part = place && this.#partOf(place.stage.stage);
    if (place === undefined || part === undefined) return undefined;
    const run = this.#parts.stage(part);
    const at = this.#outline.alignment(place.stage, part, run).pairs.get(place.order);
    return at === undefined ? undefined : run.steps[at];
  }

  /** Which step of this build is what OLDER was. */
  successor(older: Digest): OutlinedStep | undefined {
    return this.#newer.get(older);
  }

  /** Whether the step ID stood elsewhere among the same steps. */
  isMoved(id: Digest): boolean {
    const place = this.#outline.placeOf(id);
    const part = place && this.#partOf(place.stage.stage);
    if (place === undefined || part === undefined) return false;
    return this.#outline.alignment(place.stage, part, this.#parts.stage(part)).moved.has(place.order);
  }

  stageOf(id: Digest): string | undefined {
    return this.#outline.placeOf(id)?.stage.stage;
  }

  /** The stage of the earlier build that OLDER is a step of. */
  olderStageOf(older: Digest): string | undefined {
    return this.#olderStages.get(older);
  }

  isSameStage(stage: string, older: string): boolean {
    return this.#names.get(stage) === older;
  }

  /** How many steps' texts the two builds don't have in common, or not in the same order. */
  readonly textDistance = lazy((): number => {
    let distance = 0;
    const paired = new Set(this.#names.values());
    for (const [name, part] of Object.entries(this.#older))
      if (!paired.has(name)) distance += this.#parts.stage(part).steps.length;
    for (const stage of this.#outline.stages.values()) {
      const part = this.#partOf(stage.stage);
      const run = part && this.#parts.stage(part);
      const { pairs, moved } = run ? this.#outline.alignment(stage, part, run) : NO_PAIRS;
      const same = [...pairs].filter(([i, j]) => !moved.has(i) && stage.steps[i]?.mark === run?.steps[j]?.mark).length;
      distance += stage.steps.length + (run?.steps.length ?? 0) - 2 * same;
    }
    return distance;
  });

  /** Why STAGE begins with something else, where one of the two is another stage or nothing; undefined where it does not. */
  baseChange(stage: string): readonly MissCause[] | undefined {
    const base = this.#outline.stages.get(stage)?.base;
    const part = this.#partOf(stage);
    const before = part && this.#parts.stage(part).base;
    if (base === undefined || before === undefined || base.name === before.name) return undefined;
    const [to, from] = [stageNamed(base.name, stage), stageNamed(before.name, stage)];
    if (this.isSameStage(to, from)) return undefined;
    const isStage = this.#outline.stages.has(to) || this.#older[from] !== undefined;
    if (!isStage && base.name !== EMPTY && before.name !== EMPTY) return undefined;
    const variables = variableDifference(before.variables, base.variables);
    if (variables.length > 0) return variables;
    const ends = { from: before.name, to: base.name };
    return [
      isStage ? { kind: "instruction", part: "FROM", ...ends } : { kind: "image", reference: base.name, ...ends },
    ];
  }

  #partOf(stage: string): Digest | undefined {
    return this.#older[this.#names.get(stage) ?? ""];
  }
}

/** The stage that a FROM of a stage like BESIDE means by NAME, as outlines name it. */
function stageNamed(name: string, beside: string): string {
  return `${name.toLowerCase()} ${platformOf(beside)}`;
}

function platformOf(stage: string): string {
  return stage.slice(stage.indexOf(" ") + 1);
}

/**
 * Stages of one name are the same, unless their names were exchanged; of those that have no namesake, and those without a name, the ones
 * that share most steps.
 */
function pairedNames(
  { stages }: Outline,
  older: Readonly<Record<string, Digest>>,
  parts: Parts,
): ReadonlyMap<string, string> {
  const isNamed = (stage: string) => !/^\d/.test(stage);
  const paired = new Map(exchangedNames(stages, older, parts));
  const taken = new Set(paired.values());
  for (const name of stages.keys()) {
    if (!isNamed(name) || !(name in older) || paired.has(name) || taken.has(name)) continue;
    paired.set(name, name);
    taken.add(name);
  }
  const newer = [...stages.values()].filter(({ stage }) => !paired.has(stage));
  const free = Object.keys(older).filter((name) => !taken.has(name));
  const isSmall = newer.length <= RENAMED_MAX && free.length <= RENAMED_MAX;
  const likeness = newer.flatMap(({ stage, steps }) =>
    free.flatMap((name) => {
      if (platformOf(stage) !== platformOf(name) || (!isSmall && stage !== name)) return [];
      const part = older[name];
      const common = part === undefined ? 0 : commonMarks(steps, parts.stage(part).steps);
      const isNamesake = stage === name;
      return common > 0 || isNamesake ? [{ stage, name, likeness: 2 * common + (isNamesake ? 1 : 0) }] : [];
    }),
  );
  for (const { stage, name } of likeness.sort((a, b) => b.likeness - a.likeness)) {
    if (paired.has(stage) || taken.has(name)) continue;
    paired.set(stage, name);
    taken.add(name);
  }
  return paired;
}

/** Stages whose very steps stood under another name, which now is that of another such stage. */
function exchangedNames(
  stages: Outline["stages"],
  older: Readonly<Record<string, Digest>>,
  parts: Parts,
): readonly (readonly [string, string])[] {
  const textOf = (stage: string, steps: readonly Aligned[]) =>
    steps.length === 0 ? undefined : [platformOf(stage), ...steps.map(({ mark }) => mark)].join();
  const texts = new Map(Object.entries(older).map(([name, part]) => [textOf(name, parts.stage(part).steps), name]));
  const olderText = (name: string) => {
    const part = older[name];
    return part && textOf(name, parts.stage(part).steps);
  };
  const others = new Map<string, string>();
  for (const { stage, steps } of stages.values()) {
    const text = textOf(stage, steps);
    const name = texts.get(text);
    if (text !== undefined && name !== undefined && stage in older && olderText(stage) !== text)
      others.set(stage, name);
  }
  return [...others].filter(([, name]) => others.has(name));
}

function commonMarks(newer: readonly Aligned[], older: readonly Aligned[]): number {
  const marks = new Set(older.map(({ mark }) => mark));
  return newer.filter(({ mark }) => marks.has(mark)).length;
}
