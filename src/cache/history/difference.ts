import { type AttributedCause, canonicalJson, type Digest, type MissCause } from "../../base/index.js";
import type { CacheKey } from "../../solver/index.js";
import { BASE_ROLE, type NodeInput, type StepNode } from "./node.js";
import { opDifference } from "./op-difference.js";
import type { Parts } from "./parts.js";
import { sourceDifference } from "./source-difference.js";
import { type ChangedFile, treeDifference, withIgnoreRules } from "./tree-difference.js";
import { isReordered, variableDifference } from "./variable-difference.js";

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

export interface Alignment {
  readonly parts: Parts;
  /** Whether STEP is what OLDER was; `added`: an earlier build had OLDER without having the step. */
  readonly counterpart: (step: CurrentStep, older: Digest) => "same" | "added" | "unknown";
  /** Whether a step of an earlier build is one of this build's. */
  readonly isKept: (older: Digest) => boolean;
  /** Whether a step of that text (`Told.mark`) stands elsewhere in its stage than in an earlier build. */
  readonly isMoved: (mark: string) => boolean;
}

/** A process sees its variables in their order. */
const REORDERED: MissCause = { kind: "instruction", part: "order of variables" };
/** Causes of one step that are kept while it is looked for the causes of others. */
const CAUSES_MAX = 64;
/** Stages that copy from stages that copy …: deeper ones are told by their nearest cause. */
const DEPTH_MAX = 200;

/** A step, and one of an earlier build that it is compared with. */
interface Pair {
  readonly step: CurrentStep;
  readonly older: Digest;
}

/** Finds what makes steps of one build other ones than those of earlier builds. Answers are remembered. */
export class Differences {
  readonly #parts: Parts;
  readonly #alignment: Alignment;
  readonly #known = new Map<string, readonly AttributedCause[]>();

  constructor(alignment: Alignment) {
    this.#parts = alignment.parts;
    this.#alignment = alignment;
  }

  /**
   * The root causes for which STEP is not what OLDER was: its own first, then those of what it is built on. Empty where nothing differs.
   */
  between(step: CurrentStep, older: Digest, depth = 0): readonly AttributedCause[] {
    const frames: Frame[] = [];
    let pair: Pair | undefined = { step, older };
    let causes: readonly AttributedCause[] = [];
    while (pair !== undefined) {
      const known = this.#known.get(nameOf(pair.step, pair.older));
      if (known) {
        causes = known;
        break;
      }
      const node = this.#parts.node(pair.older);
      if (node === undefined || isSame(pair.step, pair.older, node)) break;
      const below: Below = this.#below(pair.step, node);
      frames.push({ step: pair.step, older: pair.older, node, changes: below.changes });
      pair = below.pair;
    }
    for (const frame of frames.reverse()) {
      const below = [...frame.changes, ...causes];
      const all = [...withoutEffects(this.#own(frame.step, frame.node, depth), below, frame), ...below];
      causes = distinct(all.map((each) => attributed(each, frame.step)));
      this.#known.set(nameOf(frame.step, frame.older), causes);
    }
    return causes;
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

  /** What STEP and OLDER were built on, and what was added or removed between. */
  #below(step: CurrentStep, older: StepNode): Below {
    const changes: AttributedCause[] = [];
    let newer = baseOf(step);
    let base = baseIn(older);
    const { counterpart, isKept } = this.#alignment;
    while (newer !== undefined && base !== undefined) {
      const node = this.#parts.node(base);
      const match = counterpart(newer, base);
      if (match === "same" || node === undefined) break;
      const [below, removed] = [baseOf(newer), baseIn(node)];
      // What a stage begins with is no other step.
      const isSource = node.source !== undefined;
      const isAdded = isSource || (match === "added" && newer.node.text?.mark !== node.text?.mark);
      if (isAdded && below !== undefined && newer.node.source === undefined) {
        const change = this.#isMoved(newer.node) ? "moved" : "added";
        changes.push({ cause: { kind: "step", change }, step: { name: newer.node.name, digest: newer.id } });
        newer = below;
        continue;
      }
      if (removed === undefined || (isKept(base) && newer.node.source === undefined)) break;
      // Of one that was moved it is told at its new place.
      if (!this.#isMoved(node)) changes.push({ cause: { kind: "step", change: "removed" }, step: { name: node.name } });
      base = removed;
    }
    if (newer !== undefined && base !== undefined) return { changes, pair: { step: newer, older: base } };
    const from = base && this.#parts.node(base)?.name;
    if (newer === undefined && from === undefined) return { changes, pair: undefined };
    const to = newer?.node.name ?? EMPTY;
    return {
      changes: [...changes, { cause: { kind: "image", reference: to, from: from ?? EMPTY, to } }],
      pair: undefined,
    };
  }

  #isMoved({ text }: StepNode): boolean {
    return text !== undefined && this.#alignment.isMoved(text.mark);
  }

  /** What of STEP itself, and of what it reads beside what it is built on, differs. */
  #own(step: CurrentStep, older: StepNode, depth: number): readonly AttributedCause[] {
    const { node, forced } = step;
    const causes: AttributedCause[] = [];
    if (forced) causes.push({ cause: { kind: "no-cache", ...forced } });
    const variables = this.#variables(node, older);
    for (const cause of variables) causes.push({ cause });
    // A path, a text or a name that a variable is part of differs because of the variable.
    const follows = variables.length > 0 && node.text?.mark === older.text?.mark && !isExec(node);
    const isSource = node.source !== undefined || older.source !== undefined;
    if (!follows)
      for (const cause of isSource ? sourceDifference(older, node) : opDifference(older, node)) causes.push({ cause });
    for (const [i, input] of node.inputs.entries()) {
      const before = older.inputs.find(({ role }) => role === input.role);
      const current = step.inputs[i];
      if (input.role === BASE_ROLE || before === undefined || current === undefined) continue;
      if (follows && !current.isStep && current.node.source === undefined) continue;
      causes.push(...this.#input({ input, current }, before, depth));
    }
    return causes;
  }

  #variables(node: StepNode, older: StepNode): readonly MissCause[] {
    if (node.variables === older.variables) return [];
    const [was, is] = [this.#parts.variables(older.variables), this.#parts.variables(node.variables)];
    const changes = variableDifference(was, is);
    return changes.length === 0 && isExec(node) && isReordered(was, is) ? [REORDERED] : changes;
  }

  #input({ input, current }: CurrentInput, before: NodeInput, depth: number): readonly AttributedCause[] {
    if (!input.byContent || !before.byContent) return this.#upstream(current, before.node, depth);
    const { content } = input;
    if (content === before.content && content !== undefined) return [];
    const older = this.#parts.node(before.node);
    const isKnown = content !== undefined && before.content !== undefined;
    if (older === undefined) return [];
    // Of what was found in the cache by its definition the content was never asked for.
    if (!isKnown && current.node.source === undefined) return this.#upstream(current, before.node, depth);
    const sources = current.node.source || older.source ? sourceDifference(older, current.node) : [];
    if (current.node.source?.kind === "context") {
      if (!isKnown) return [];
      const files = this.#files({ input, current }, before, older);
      return [...sources, ...files].map((cause) => ({ cause }));
    }
    if (current.node.source) return sources.map((cause) => ({ cause }));
    const roots = this.#upstream(current, before.node, depth);
    if (roots.length > 0) return roots;
    const reason = current.reason();
    return [attributed({ cause: { kind: "result", ...(reason === undefined ? {} : { reason }) } }, current)];
  }

  #upstream(current: CurrentStep, older: Digest, depth: number): readonly AttributedCause[] {
    return depth < DEPTH_MAX ? this.between(current, older, depth + 1) : [{ cause: { kind: "result" } }];
  }

  #files({ input, current }: CurrentInput, before: NodeInput, older: StepNode): readonly MissCause[] {
    const { source } = current.node;
    if (source?.kind !== "context") return [];
    const [was = [], is = []] = [before.content, input.content].map((content) =>
      content ? this.#parts.roots(content) : [],
    );
    const areKnown = was.length > 0 && is.length > 0;
    const found = areKnown ? treeDifference(was, is, (digest) => this.#parts.directory(digest)) : [];
    const changes = found.length > 0 ? found : [SOME_FILE];
    const excluded = older.source?.kind === "context" ? older.source.excludes : [];
    const { name: context } = source;
    return withIgnoreRules(changes, excluded, source.excludes).map(({ path, change }) => ({
      kind: "file",
      path,
      change,
      ...(context === undefined ? {} : { context }),
    }));
  }
}

interface Frame {
  readonly step: CurrentStep;
  readonly older: Digest;
  readonly node: StepNode;
  readonly changes: readonly AttributedCause[];
}

interface Below {
  readonly changes: readonly AttributedCause[];
  readonly pair: { readonly step: CurrentStep; readonly older: Digest } | undefined;
}

interface CurrentInput {
  readonly input: NodeInput;
  readonly current: CurrentStep;
}

/** What differs where the entries are not known. */
const SOME_FILE: ChangedFile = { path: ".", change: { kind: "content" } };

/** The empty file system, in the words of the Dockerfile. */
const EMPTY = "scratch";

function nameOf(step: CurrentStep, older: Digest): string {
  return `${step.id} ${older}`;
}

function isSame(step: CurrentStep, older: Digest, node: StepNode): boolean {
  if (step.isFresh) return false;
  return step.digest === older || sameKey(step.node.key, node.key);
}

/** Whether two nodes, of which one has no key, say the same, but for what their inputs hold. */
function isAlike(a: StepNode, b: StepNode): boolean {
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

function isExec({ op }: StepNode): boolean {
  return typeof op === "object" && op !== null && "exec" in op;
}

function baseOf(step: CurrentStep): CurrentStep | undefined {
  return step.inputs[step.node.inputs.findIndex(({ role }) => role === BASE_ROLE)];
}

function baseIn(node: StepNode): Digest | undefined {
  return node.inputs.find(({ role }) => role === BASE_ROLE)?.node;
}

/** OWN without what only differs because the directory is another one that a relative path starts at. */
function withoutEffects(
  own: readonly AttributedCause[],
  below: readonly AttributedCause[],
  { step, node }: { readonly step: CurrentStep; readonly node: StepNode },
): readonly AttributedCause[] {
  const isMoved = below.some(({ cause }) => cause.kind === "instruction" && cause.part === "WORKDIR");
  if (!isMoved || isExec(step.node) || step.node.text?.mark !== node.text?.mark) return own;
  return own.filter(({ cause }) => cause.kind !== "instruction" || !/^(?:destination|path|WORKDIR)$/.test(cause.part));
}

/** What lies in sources, and in what is made for a step of the Dockerfile, is the affair of the first step upon it. */
function attributed(each: AttributedCause, { isStep, id, node }: CurrentStep): AttributedCause {
  if (each.step !== undefined || !isStep) return each;
  return { ...each, step: { name: node.name, digest: id } };
}

function distinct(causes: readonly AttributedCause[]): readonly AttributedCause[] {
  const known = new Map<string, AttributedCause>();
  for (const each of causes) {
    const name = canonicalJson(each.cause.kind === "step" || each.cause.kind === "result" ? each : each.cause);
    if (!known.has(name)) known.set(name, each);
  }
  return [...known.values()].slice(0, CAUSES_MAX);
}
