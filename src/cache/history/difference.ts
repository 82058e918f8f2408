import type { AttributedCause, Digest, MissCause } from "../../base/index.js";
import { attributed, type Causes, type CurrentStep, merged, NONE } from "./causes.js";
import { arrived, baseIn, baseOf, type Lines, type Meeting, placeIn, walkBack } from "./chain.js";
import { type Choice, choiceOf } from "./choice.js";
import { linkDifference } from "./linked-copy.js";
import { mountSourceDifference } from "./mount-difference.js";
import { BASE_ROLE, type NodeInput, type StepNode } from "./node.js";
import { ownDifference } from "./own-difference.js";
import type { Parts } from "./parts.js";
import type { Reference } from "./reference.js";
import { isAlike, isSame } from "./sameness.js";
import type { SelectionDifferences } from "./selection-difference.js";
import { sourceDifference } from "./source-difference.js";

/** Stages that copy from stages that copy …: deeper ones are told by their nearest cause. */
const DEPTH_MAX = 200;

/** A step, and one of an earlier build that it is compared with. */
interface Pair {
  readonly step: CurrentStep;
  readonly older: Digest;
}

/** Finds what makes steps of one build other ones than those of an earlier one. Answers are remembered. */
export class Differences {
  readonly #parts: Parts;
  readonly #reference: Reference;
  readonly #selections: SelectionDifferences;
  readonly #known = new Map<string, Causes>();

  /** SELECTIONS may be shared by the comparisons with several builds. */
  constructor(reference: Reference, parts: Parts, selections: SelectionDifferences) {
    this.#parts = parts;
    this.#reference = reference;
    this.#selections = selections;
  }

  /**
   * The root causes for which STEP is not what OLDER was: its own first, then those of what it is built on. Empty where nothing differs.
   */
  between(step: CurrentStep, older: Digest, depth = 0): Causes {
    const frames: Frame[] = [];
    let pair: Pair | undefined = { step, older };
    let causes = NONE;
    while (pair !== undefined) {
      const known = this.#known.get(nameOf(pair.step, pair.older));
      if (known) {
        causes = known;
        break;
      }
      const node = this.#parts.node(pair.older);
      if (node === undefined || isSame(pair.step, pair.older, node)) break;
      // Of a copy that is linked now, or no longer, only one has a base.
      const isOther: boolean = linkDifference(node, pair.step.node).length > 0;
      const lines: Lines = {
        step: baseOf(pair.step),
        older: baseIn(node),
        stage: this.#reference.stageOf(pair.step.id),
      };
      const below: Meeting = isOther ? APART : walkBack(lines, { reference: this.#reference, parts: this.#parts });
      frames.push({ ...pair, node, changes: below.changes });
      pair = below.pair;
    }
    for (const frame of frames.reverse()) {
      const below = merged(frame.step, [{ list: frame.changes, more: 0 }, causes]);
      const own = settled(this.#own(frame.step, frame.node, depth), below, frame);
      causes = merged(frame.step, [own, below]);
      this.#known.set(nameOf(frame.step, frame.older), causes);
    }
    return causes;
  }

  /** Why there is STEP, which the earlier build had not. */
  arrival(step: CurrentStep): Causes {
    return merged(step, [
      { list: arrived(step, undefined, { reference: this.#reference, parts: this.#parts }), more: 0 },
    ]);
  }

  /**
   * Whether STEP is for certain made of what OLDER was made of, which is known without keys too: nobody asks for that of a step whose result
   * is not needed.
   */
  isSame(step: CurrentStep, older: Digest, depth = 0): boolean {
    let pair: Pair = { step, older };
    for (;;) {
      const answer = this.#isSameUpon(pair, depth);
      if (typeof answer === "boolean") return answer;
      pair = answer;
    }
  }

  /** The same, or what the two are built on where it depends on that. */
  #isSameUpon({ step, older }: Pair, depth: number): boolean | Pair {
    const node = this.#parts.node(older);
    if (node === undefined) return false;
    if (isSame(step, older, node)) return true;
    if (step.isFresh || !isAlike(step.node, node) || depth >= DEPTH_MAX) return false;
    let base: Pair | undefined;
    for (const [i, input] of step.node.inputs.entries()) {
      const [before, below] = [node.inputs[i], step.inputs[i]];
      if (before === undefined || below === undefined) return false;
      if (input.byContent) {
        if (input.content === undefined || input.content !== before.content) return false;
      } else if (input.role === BASE_ROLE) base = { step: below, older: before.node };
      else if (!this.isSame(below, before.node, depth + 1)) return false;
    }
    return base ?? true;
  }

  /** What of STEP itself, and of what it reads beside what it is built on, differs. */
  #own(step: CurrentStep, older: StepNode, depth: number): Causes {
    const { node, forced, id } = step;
    const causes: AttributedCause[] = [];
    if (forced) causes.push({ cause: { kind: "no-cache", ...forced } });
    if (this.#reference.isMoved(id)) causes.push({ cause: { kind: "step", change: "moved", ...placeIn(older.name) } });
    const own = ownDifference(step, older, this.#parts);
    for (const cause of own.causes) causes.push({ cause });
    const [choice, oldChoice] = [choiceOf(node), choiceOf(older)];
    const choices = choice && oldChoice ? ([oldChoice, choice] as const) : undefined;
    const found: Causes[] = [{ list: causes, more: 0 }];
    for (const [i, input] of node.inputs.entries()) {
      const before = older.inputs.find(({ role }) => role === input.role);
      const current = step.inputs[i];
      if (input.role === BASE_ROLE || before === undefined || current === undefined) continue;
      const isMade = !current.isStep && current.node.source === undefined;
      // What is made for a step is made of what the step says.
      if (isMade && (own.changed.some((part) => MAKING_PARTS.has(part)) || own.isFollowing("heredoc"))) continue;
      if (own.isChosen && current.node.source?.kind !== "context") continue;
      const isSameContent = input.content !== undefined && input.content === before.content;
      const mount = isSameContent ? undefined : mountSourceDifference({ older, newer: node }, input.role, isMade);
      if (mount) found.push({ list: [{ cause: mount }], more: 0 });
      else found.push(this.#input({ input, current, changed: own.changed, choices }, before, depth));
    }
    return merged(step, found);
  }

  #input(reading: CurrentInput, before: NodeInput, depth: number): Causes {
    const { input, current } = reading;
    if (!input.byContent || !before.byContent) return this.#upstream(reading, before.node, depth);
    const { content } = input;
    if (content === before.content && content !== undefined) return NONE;
    const older = this.#parts.node(before.node);
    const isKnown = content !== undefined && before.content !== undefined;
    if (older === undefined) return NONE;
    const place = this.#otherPlace(current, before.node, input.role);
    if (place) return { list: [{ cause: place }], more: 0 };
    // Of what was found in the cache by its definition the content was never asked for.
    if (!isKnown && current.node.source === undefined) return this.#upstream(reading, before.node, depth);
    const sources = current.node.source || older.source ? sourceDifference(older, current.node) : [];
    if (current.node.source?.kind === "context") {
      if (!isKnown) return NONE;
      const { changed, choices } = reading;
      const files = this.#selections.between({ input, before, node: current.node, older, changed, choices });
      // Where a directory lies says nothing as long as what differs in it is told; the name of a context is an option's.
      const shown = files.list.length > 0 && current.node.source.name === undefined ? [] : sources;
      return { list: [...shown, ...files.list].map((cause) => ({ cause })), more: files.more };
    }
    if (current.node.source) return { list: sources.map((cause) => ({ cause })), more: 0 };
    const roots = this.#upstream(reading, before.node, depth);
    if (roots.list.length > 0) return roots;
    const reason = current.reason();
    const cause: MissCause = { kind: "result", ...(reason === undefined ? {} : { reason }) };
    return { list: [attributed({ cause }, current)], more: 0 };
  }

  #upstream({ input, current }: CurrentInput, older: Digest, depth: number): Causes {
    if (depth >= DEPTH_MAX) return { list: [{ cause: { kind: "result" } }], more: 0 };
    const renamed = this.#otherPlace(current, older, input.role);
    if (renamed) return { list: [{ cause: renamed }], more: 0 };
    const lines = { step: current, older, stage: this.#reference.stageOf(current.id) };
    const { changes, pair } = walkBack(lines, { reference: this.#reference, parts: this.#parts });
    const below = pair ? this.between(pair.step, pair.older, depth + 1) : NONE;
    return merged(current, [{ list: changes, more: 0 }, below]);
  }

  /** How it is told that files come from another stage, or from an image or the main context in place of a stage. */
  #otherPlace(current: CurrentStep, older: Digest, role: string): MissCause | undefined {
    const [stage, before] = [this.#reference.stageOf(current.id), this.#reference.olderStageOf(older)];
    if (stage !== undefined && before !== undefined && this.#reference.isSameStage(stage, before)) return undefined;
    const node = this.#parts.node(older);
    const [to, from] = [placeName(stage, current.node), placeName(before, node)];
    if ((stage === undefined && before === undefined) || (to === undefined && from === undefined)) return undefined;
    // A mount of another place is still there; what is copied from the main context has no `--from`.
    if (role.startsWith("mount ")) return to && from ? { kind: "instruction", part: "--mount", from, to } : undefined;
    if ((to === undefined && !isMain(current.node)) || (from === undefined && !isMain(node))) return undefined;
    return { kind: "instruction", part: "--from", ...(from && { from }), ...(to && { to }) };
  }
}

/** Parts of an instruction that something is made of for it. */
const MAKING_PARTS: ReadonlySet<string> = new Set(["source", "heredoc", "command"]);

const APART: Meeting = { changes: [], pair: undefined };

interface Frame {
  readonly step: CurrentStep;
  readonly older: Digest;
  readonly node: StepNode;
  readonly changes: readonly AttributedCause[];
}

interface CurrentInput {
  readonly input: NodeInput;
  readonly current: CurrentStep;
  /** What of the step itself differs: parts of its instruction. */
  readonly changed: readonly string[];
  readonly choices: readonly [Choice, Choice] | undefined;
}

function placeName(stage: string | undefined, node: StepNode | undefined): string | undefined {
  if (stage !== undefined) return stage.split(" ", 1)[0];
  return node?.source?.kind === "image" ? node.source.reference : undefined;
}

function isMain(node: StepNode | undefined): boolean {
  return node?.source?.kind === "context" && node.source.name === undefined;
}

function nameOf(step: CurrentStep, older: Digest): string {
  return `${step.id} ${older}`;
}

/** OWN in the words of those BELOW, where it only differs because the directory is another one that relative paths start at. */
function settled(own: Causes, below: Causes, { step, node }: Frame): Causes {
  const isWorkdir = ({ cause }: AttributedCause) => cause.kind === "instruction" && cause.part === "WORKDIR";
  const moved = below.list.find(isWorkdir);
  if (moved === undefined || step.node.text?.mark !== node.text?.mark) return own;
  const isEffect = ({ cause }: AttributedCause) =>
    cause.kind === "instruction" && /^(?:destination|path|WORKDIR)$/.test(cause.part);
  if (!own.list.some(isEffect)) return own;
  return { list: [{ cause: moved.cause }, ...own.list.filter((each) => !isEffect(each))], more: own.more };
}
