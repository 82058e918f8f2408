import { EngineError, messageOf } from "../../base/index.js";
import { type Platform, parsePlatform } from "../../oci/index.js";
import type { DockerfileNode, Flag, FromInstruction, Range, StageInstruction, StageNode } from "./ast.js";
import type { ContextNames, FoundContext } from "./contexts.js";
import { expandWord, settings } from "./expand.js";
import { fullImageName } from "./image-name.js";
import { mistake, placed } from "./place.js";
import { didYouMean } from "./suggest.js";

/** A stage of the file with its names settled: what it begins with, and what its steps take files from. */
export interface Stage {
  readonly node: StageNode;
  /** Its place in the file, from 0. */
  readonly index: number;
  /** In lower case. */
  readonly name: string | undefined;
  /** The name, or `stage-N`. */
  readonly label: string;
  readonly base: StageBase;
  /** What FROM names once its variables have their values, and those variables (`KEY=value`). */
  readonly from: StageFrom;
  /** What --platform asks for. */
  readonly platform: Platform | undefined;
  readonly steps: readonly Step[];
  /** Whether a named context takes the place of the whole stage, whose steps then don't count. */
  readonly isReplaced: boolean;
}

export interface StageFrom {
  readonly name: string;
  readonly variables: readonly string[] | undefined;
}

/** `context` replaces the stage; the stage that a named context stands for may do so too. */
type StageBase =
  | { readonly kind: "stage"; readonly stage: Stage }
  | { readonly kind: "image"; readonly name: string }
  | { readonly kind: "scratch" }
  | { readonly kind: "context"; readonly found: FoundContext };

/** An instruction, and whether a base's ONBUILD made it. */
export interface Step {
  readonly instruction: StageInstruction;
  readonly trigger: boolean;
  /** Of COPY --from the one it names, of RUN one for each mount; undefined is the build context or nothing. */
  readonly sources: readonly (Origin | undefined)[];
}

/** Where a step takes files from. */
export type Origin =
  | { readonly kind: "stage"; readonly stage: Stage }
  | {
      readonly kind: "image";
      readonly name: string;
      readonly range: Range;
      /** The words that name it. */
      readonly culprit: Range | undefined;
    };

/** What names in a file depend on. */
export interface StageScope {
  readonly fileName: string;
  readonly dockerfile: DockerfileNode;
  /** What FROM may use. */
  readonly globals: ReadonlyMap<string, string>;
  readonly contexts: ContextNames;
  readonly buildPlatform: Platform;
  readonly targetPlatform: Platform;
}

/** All stages of the file. Throws a DiagnosticError for names that can mean nothing, in stages that no target needs as well. */
export function planStages(scope: StageScope): StagePlan {
  const plan = new StagePlan(scope);
  for (const node of scope.dockerfile.stages) plan.addStage(node);
  for (const stage of plan.stages) plan.addSteps(stage);
  refuseCircles(plan.stages, scope.fileName);
  return plan;
}

interface FromName extends Pick<StageFrom, "variables"> {
  readonly image: string;
  readonly hint: string;
}

const NO_SOURCES: Step["sources"] = [];

/** Names of stages that a hint lists. */
const MAX_NAMES_IN_HINT = 20;

/** The stages, and how other texts (ONBUILD triggers, the target) name them. */
class StagePlan {
  readonly #scope: StageScope;
  readonly #stages: (Stage & { readonly steps: Step[] })[] = [];
  readonly #byName = new Map<string, Stage>();

  constructor(scope: StageScope) {
    this.#scope = scope;
  }

  get stages(): readonly Stage[] {
    return this.#stages;
  }

  /** The stage that is asked for: TARGET in any case, the last one where there is none. */
  target(target: string | undefined): Stage {
    const found = target ? this.#byName.get(target.toLowerCase()) : this.#stages.at(-1);
    if (found !== undefined) return found;
    const meant = didYouMean(
      target ?? "",
      this.#stages.map((stage) => stage.label),
    );
    const message = `target stage ${JSON.stringify(target)} could not be found${meant}`;
    throw new EngineError("invalid", message, { hint: this.#targetHint() });
  }

  #targetHint(): string {
    const names = [...this.#byName.keys()];
    if (names.length === 0) return "no stage of the file has a name; FROM … AS NAME gives it one";
    const more = names.length > MAX_NAMES_IN_HINT ? ` and ${names.length - MAX_NAMES_IN_HINT} more` : "";
    return `the file has ${names.slice(0, MAX_NAMES_IN_HINT).join(", ")}${more}`;
  }

  addStage(node: StageNode): void {
    const { fileName: file } = this.#scope;
    const { image, hint, variables } = this.#baseName(node.from);
    const platform = this.#platform(node.from);
    const name = node.from.name?.text.toLowerCase();
    try {
      const replacement = this.#replacement(name, image, platform);
      const base = replacement ?? this.#base(image, platform);
      const label = name ?? `stage-${node.index}`;
      const isReplaced = replacement !== undefined;
      const from: StageFrom = { name: image, variables };
      const stage = { node, index: node.index, name, label, base, from, platform, steps: [], isReplaced };
      this.#stages.push(stage);
      if (name !== undefined) this.#byName.set(name, stage);
    } catch (error) {
      throw placed(explained(error, hint), { file, range: node.from.range, culprit: node.from.image.range });
    }
  }

  addSteps(stage: Stage): void {
    const steps = this.#stages[stage.index]?.steps;
    for (const instruction of stage.node.instructions) {
      const step = this.step(instruction, false);
      if (!stage.isReplaced) steps?.push(step);
    }
  }

  /** INSTRUCTION with what it takes files from. Throws a DiagnosticError. */
  step(instruction: StageInstruction, trigger: boolean): Step {
    switch (instruction.kind) {
      case "copy": {
        const { from, range } = instruction;
        const sources = from?.value ? [this.#copySource(from.value, { range, culprit: from.range })] : NO_SOURCES;
        return { instruction, trigger, sources };
      }
      case "run": {
        if (instruction.mounts.length === 0) return { instruction, trigger, sources: NO_SOURCES };
        const sources = instruction.mounts.map(({ from, flag }) => {
          return from ? this.#named(from, { range: instruction.range, culprit: flag.range }) : undefined;
        });
        return { instruction, trigger, sources };
      }
      default:
        return { instruction, trigger, sources: NO_SOURCES };
    }
  }

  #copySource(from: string, place: NamePlace): Origin {
    const file = this.#scope.fileName;
    const expanded = expandWord(from, new Map(), this.#scope.dockerfile.directives.escape);
    if (!expanded.ok || expanded.value !== from) {
      throw mistake(expanded.ok ? FROM_NOT_EXPANDED : expanded.error, { file, ...place });
    }
    if (!/^[+-]?\d+$/.test(from)) return this.#named(from, place);
    const stage = this.#stages[Number(from)];
    if (stage === undefined) throw mistake(`invalid stage index ${Number(from)}`, { file, ...place });
    return { kind: "stage", stage };
  }

  #named(name: string, place: NamePlace): Origin {
    const stage = this.#byName.get(name.toLowerCase());
    if (stage !== undefined) return { kind: "stage", stage };
    try {
      const meant = name === "scratch" ? undefined : this.#stageFor(fullImageName(name), this.#scope.targetPlatform);
      return meant === undefined ? { kind: "image", name, ...place } : { kind: "stage", stage: meant };
    } catch (error) {
      const hint = didYouMean(
        name.toLowerCase(),
        this.#stages.map(({ label }) => label),
      );
      throw placed(explained(error, hint), { file: this.#scope.fileName, ...place });
    }
  }

  /** What a named context puts in the place of the stage NAME; undefined where none does. */
  #replacement(name: string | undefined, image: string, platform: Platform | undefined): StageBase | undefined {
    if (name === undefined) return undefined;
    const found = this.#scope.contexts.find(name, platform ?? this.#scope.targetPlatform);
    if (found === undefined) return undefined;
    fullImageName(image);
    return found.context.kind === "target" ? this.#stageNamedBy(found) : { kind: "context", found };
  }

  #base(image: string, platform: Platform | undefined): StageBase {
    const stage = this.#byName.get(image);
    if (stage !== undefined) return { kind: "stage", stage };
    if (image === "scratch") return { kind: "scratch" };
    const meant = this.#stageFor(fullImageName(image), platform ?? this.#scope.targetPlatform);
    return meant === undefined ? { kind: "image", name: image } : { kind: "stage", stage: meant };
  }

  /** The stage that a named context puts in the place of the image NAME. */
  #stageFor(name: string, platform: Platform): Stage | undefined {
    const found = this.#scope.contexts.find(name, platform);
    return found?.context.kind === "target" ? this.#stageNamedBy(found).stage : undefined;
  }

  #stageNamedBy({ name, context }: FoundContext): Extract<StageBase, { kind: "stage" }> {
    const wanted = context.kind === "target" ? context.stage : "";
    const stage = this.#byName.get(wanted.toLowerCase());
    if (stage !== undefined) return { kind: "stage", stage };
    const names = this.#scope.dockerfile.stages.flatMap(({ from }) => from.name?.text.toLowerCase() ?? []);
    const problem = names.includes(wanted.toLowerCase())
      ? "it needs to be defined before it is used"
      : `there is no such stage${didYouMean(wanted, names)}`;
    throw new EngineError("invalid", `named context ${name} stands for stage ${JSON.stringify(wanted)}: ${problem}`);
  }

  /** What FROM names, and a hint at a variable in it that was probably misspelt. */
  #baseName(from: FromInstruction): FromName {
    const { fileName, globals, dockerfile } = this.#scope;
    const place = { file: fileName, range: from.range, culprit: from.image.range };
    const expanded = expandWord(from.image.text, globals, dockerfile.directives.escape);
    if (!expanded.ok) throw mistake(expanded.error, place, undefined, expanded.hint);
    const hint = this.#meantBy(expanded.unset);
    if (expanded.value === "") throw mistake(`base name (${from.image.text}) should not be blank${hint}`, place);
    return { image: expanded.value, hint, variables: settings(expanded.consulted, globals) };
  }

  #meantBy(unset: readonly string[]): string {
    if (unset.length === 0) return "";
    const names = [...this.#scope.globals.keys()];
    return unset.map((name) => didYouMean(name, names)).find((text) => text !== "") ?? "";
  }

  #platform(from: FromInstruction): Platform | undefined {
    const written = from.platform?.value;
    if (!written) return undefined;
    const { fileName, globals, dockerfile, buildPlatform } = this.#scope;
    const place = { file: fileName, range: from.range, culprit: from.platform?.range };
    const expanded = expandWord(written, globals, dockerfile.directives.escape);
    if (!expanded.ok) throw mistake(`failed to process arguments for platform ${written}: ${expanded.error}`, place);
    const hint = this.#meantBy(expanded.unset);
    if (expanded.value === "") throw mistake(`empty platform value from expression ${written}${hint}`, place);
    try {
      return parsePlatform(expanded.value, buildPlatform);
    } catch (error) {
      throw mistake(`failed to parse platform ${written}: ${messageOf(error)}${hint}`, place);
    }
  }
}

export type { StagePlan };

/** ERROR with a hint behind its message. */
function explained(error: unknown, hint: string): unknown {
  if (hint === "" || !(error instanceof EngineError)) return error;
  return new EngineError(error.code, error.message + hint, { cause: error });
}

/** Where a name stands: the lines of its instruction, and its own words. */
interface NamePlace {
  readonly range: Range;
  readonly culprit: Range | undefined;
}

const FROM_NOT_EXPANDED =
  "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";

/** Stages that take files from each other can never be built. Walks with its own stack: there may be many stages. */
function refuseCircles(stages: readonly Stage[], file: string): void {
  const done = new Set<Stage>();
  for (const root of stages) {
    const path = new Set<Stage>();
    const stack = [{ stage: root, edges: edgesOf(root), next: 0 }];
    if (done.has(root)) continue;
    path.add(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const edge = top.edges[top.next++];
      if (edge === undefined) {
        path.delete(top.stage);
        done.add(top.stage);
        stack.pop();
      } else if (path.has(edge.stage)) {
        throw mistake(`circular dependency detected on stage: ${root.label}`, {
          file,
          range: edge.step.instruction.range,
          culprit: edge.culprit,
        });
      } else if (!done.has(edge.stage)) {
        path.add(edge.stage);
        stack.push({ stage: edge.stage, edges: edgesOf(edge.stage), next: 0 });
      }
    }
  }
}

/** A stage that a step takes files from, and the words of the step that say so. */
interface Edge {
  readonly stage: Stage;
  readonly step: Step;
  readonly culprit: Range | undefined;
}

function edgesOf({ steps }: Stage): readonly Edge[] {
  const edges: Edge[] = [];
  for (const step of steps) {
    for (const [index, source] of step.sources.entries()) {
      if (source?.kind === "stage") edges.push({ stage: source.stage, step, culprit: namingFlag(step, index)?.range });
    }
  }
  return edges;
}

/** The flag that names the source INDEX. */
function namingFlag({ instruction }: Step, index: number): Flag | undefined {
  if (instruction.kind === "run") return instruction.mounts[index]?.flag;
  return instruction.kind === "copy" || instruction.kind === "add" ? instruction.from : undefined;
}

/** TARGET and all stages that it needs; TRIGGERS are the steps that bases add. */
export function reachableStages(target: Stage, triggers: ReadonlyMap<Stage, readonly Step[]>): ReadonlySet<Stage> {
  const reached = new Set<Stage>([target]);
  for (const stage of reached) {
    if (stage.base.kind === "stage") reached.add(stage.base.stage);
    for (const steps of [stage.steps, triggers.get(stage) ?? []]) {
      for (const { sources } of steps)
        for (const source of sources) if (source?.kind === "stage") reached.add(source.stage);
    }
  }
  return reached;
}
