import {
  type AttributedCause,
  type Clock,
  type Digest,
  digestOf,
  lazy,
  type Miss,
  type MissCause,
  type RecordLoss,
} from "../../base/index.js";
import type { ContentTree } from "../../snapshot/index.js";
import type { CacheKey } from "../../solver/index.js";
import type { Database } from "../../store/index.js";
import type { Aligned } from "./alignment.js";
import { type CurrentStep, Differences } from "./difference.js";
import type { NodeInput, NotedVariable, StepDraft, StepNode } from "./node.js";
import { Parts } from "./parts.js";
import { compareRecorded, type RecordedNode, type StepComparison } from "./recorded.js";
import { type BuildPlace, type PastBuild, pastBuilds, type RunStep, StagePast, writeBuild } from "./runs.js";
import { mayBeSecret, told, toldText, untold } from "./shown.js";
import { sweepHistory } from "./sweep.js";

/** The steps of one stage, in order. */
export interface StageOutline {
  readonly stage: string;
  readonly steps: readonly { readonly id: Digest; readonly text: string }[];
}

/** What earlier builds of the same Dockerfile were made of, beside one build under way. */
export interface BuildHistory {
  /** Whether what is in contents of that digest is known. */
  knowsContent(content: Digest): boolean;
  /** Tells it. */
  addContent(content: Digest, trees: readonly ContentTree[]): void;
  /** Tells of a vertex of this build, behind its inputs; telling more of it later replaces what was told. */
  add(draft: StepDraft): void;
  has(id: Digest): boolean;
  /** Why the step ID was not in the cache; undefined where no earlier build is known that had its stage. */
  explain(id: Digest): Miss | undefined;
  /** What the step ID was in the last builds; undefined where none is known that had it. It needs to be told of no vertex. */
  compare(id: Digest): StepComparison | undefined;
  /** Remembers this build: of every stage the steps that were told of and that HAS_RESULT. */
  save(hasResult: (id: Digest) => boolean): Promise<void>;
}

export interface BuildHistoryOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly place: BuildPlace;
  readonly stages: readonly StageOutline[];
  /** The vertex that the build was made for; of several the first. */
  readonly result: Digest | undefined;
}

/** Causes that are told of one step. */
const TOLD_MAX = 5;

export function openBuildHistory(options: BuildHistoryOptions): BuildHistory {
  return new History(options);
}

class History implements BuildHistory {
  readonly #options: BuildHistoryOptions;
  readonly #parts: Parts;
  readonly #current = new Map<Digest, CurrentStep>();
  readonly #stageOf = new Map<Digest, StageOutline>();
  readonly #pasts = new Map<string, StagePast>();
  readonly #misses = new Map<Digest, Miss>();
  readonly #builds = lazy((): readonly PastBuild[] => pastBuilds(this.#options.database, this.#options.place));
  readonly #differences: Differences;

  constructor(options: BuildHistoryOptions) {
    this.#options = options;
    this.#parts = new Parts(options.database);
    for (const stage of options.stages) for (const { id } of stage.steps) this.#stageOf.set(id, stage);
    this.#differences = new Differences({
      parts: this.#parts,
      counterpart: (step, older) => this.#past(step.id)?.match(step.id, older) ?? "unknown",
      isKept: (older) => [...this.#pasts.values()].some((past) => past.keeps(older)),
      isMoved: (mark) => [...this.#pasts.values()].some((past) => past.isMoved(mark)),
    });
  }

  knowsContent(content: Digest): boolean {
    return this.#parts.roots(content).length > 0;
  }

  addContent(content: Digest, trees: readonly ContentTree[]): void {
    this.#parts.addTrees(content, trees);
  }

  has(id: Digest): boolean {
    return this.#current.has(id);
  }

  add(draft: StepDraft): void {
    const { id, isStep, forced } = draft;
    const inputs = draft.inputs.flatMap((input) => this.#current.get(input.id) ?? []);
    const node = this.#nodeOf(draft, inputs);
    const isFresh = forced !== undefined || inputs.some((input, i) => !node.inputs[i]?.byContent && input.isFresh);
    const reason = () => this.#reasonOf(draft);
    this.#current.set(id, { id, digest: this.#parts.addNode(node), node, inputs, isStep, forced, isFresh, reason });
  }

  #nodeOf(draft: StepDraft, inputs: readonly CurrentStep[]): StepNode {
    const { name, text, key, op, variables, source } = draft;
    return {
      name,
      ...(text === undefined ? {} : { text: toldText(text) }),
      ...(key === undefined ? {} : { key }),
      op: withoutEnvironment(op),
      ...(variables.length === 0 ? {} : { variables: this.#parts.addVariables(variables.map(noted)) }),
      ...(source === undefined ? {} : { source }),
      inputs: draft.inputs.flatMap(({ id: _, content, ...input }, i): readonly NodeInput[] => {
        const node = inputs[i]?.digest;
        return node === undefined ? [] : [{ ...input, node, ...(content === undefined ? {} : { content }) }];
      }),
    };
  }

  #reasonOf({ id, forced, ran }: StepDraft): MissCause | undefined {
    if (forced) return { kind: "no-cache", ...forced };
    return ran ? this.explain(id)?.causes[0]?.cause : undefined;
  }

  explain(id: Digest): Miss | undefined {
    const known = this.#misses.get(id);
    if (known) return known;
    const step = this.#current.get(id);
    const past = this.#past(id);
    if (step === undefined || past === undefined || past.runs.length === 0) return undefined;
    const miss = missOf(this.#causes(step, past), id);
    this.#misses.set(id, miss);
    return miss;
  }

  /** The causes against the earlier build that is nearest: of two that are as near, the later one. */
  #causes(step: CurrentStep, past: StagePast): readonly AttributedCause[] {
    let nearest: readonly AttributedCause[] | undefined;
    for (const node of past.counterparts(step.id)) {
      if (node === undefined) continue;
      const causes = this.#differences.between(step, node);
      // Too little was known of it to tell the difference.
      if (causes.length === 0 && !this.#differences.isSame(step, node)) continue;
      if (nearest === undefined || causes.length < nearest.length) nearest = causes;
    }
    const isNew = past.counterparts(step.id).every((node) => node === undefined);
    const mark = step.node.text?.mark;
    const isMoved = mark !== undefined && past.isMoved(mark);
    if (isNew) return [{ cause: { kind: "step", change: isMoved ? "moved" : "added" } }];
    if (nearest === undefined) return [{ cause: this.#burial(step) ?? { kind: "result" } }];
    return nearest.length > 0 ? nearest : [{ cause: this.#burial(step) ?? { kind: "record", gone: "missing" } }];
  }

  /** When and why the record of a step was removed; undefined where nobody knows. */
  #burial({ node: { key } }: CurrentStep): MissCause | undefined {
    const sql = "SELECT at, reason FROM tombstone WHERE content_key = ?";
    const row = key && this.#options.database.get<{ at: number; reason: RecordLoss }>(sql, key);
    return row && { kind: "record", gone: row.reason, at: row.at };
  }

  #past(id: Digest): StagePast | undefined {
    const outline = this.#stageOf.get(id);
    if (outline === undefined) return undefined;
    const known = this.#pasts.get(outline.stage);
    if (known) return known;
    const steps = outline.steps.map((step) => ({ ...alignedOf(step.text), id: step.id }));
    const parts = new Set(this.#builds().flatMap(({ stages }) => stages[outline.stage] ?? []));
    const past = new StagePast(
      steps,
      [...parts].map((part) => this.#parts.steps(part)),
    );
    this.#pasts.set(outline.stage, past);
    return past;
  }

  compare(id: Digest): StepComparison | undefined {
    const stage = this.#stageOf.get(id)?.stage ?? "";
    const past = this.#past(id);
    const parts = [...new Set(this.#builds().flatMap(({ stages }) => stages[stage] ?? []))];
    const found = new Map<CacheKey, RecordedNode & { readonly reasons: Map<Digest, MissCause> }>();
    for (const [n, node] of (past?.counterparts(id) ?? []).entries()) {
      const build = this.#builds().find(({ stages }) => stages[stage] === parts[n]);
      const key = node && this.#parts.node(node)?.key;
      if (node === undefined || build === undefined || key === undefined) continue;
      const known = found.get(key) ?? { node, at: build.at, stages: build.stages, reasons: new Map() };
      found.set(key, known);
      // The first of the builds that had it so is the one in which it came about.
      for (const list of Object.values(build.stages))
        for (const { node: of, reason } of this.#parts.steps(list)) if (reason) known.reasons.set(of, reason);
    }
    const [newer, older] = [...found.values()];
    return newer && compareRecorded(newer, older, this.#parts);
  }

  /** Why those steps ran again that gave another result, by their ids. */
  #toldReasons(): ReadonlyMap<Digest, MissCause> {
    const causes = [...this.#misses.values()].flatMap((miss) => miss.causes);
    return new Map(
      causes.flatMap(({ cause, step }) =>
        cause.kind === "result" && cause.reason && step?.digest
          ? [[step.digest, withoutTime(cause.reason)] as const]
          : [],
      ),
    );
  }

  async save(hasResult: (id: Digest) => boolean): Promise<void> {
    const { database, place, clock, stages, result } = this.#options;
    const reasons = this.#toldReasons();
    const lists = stages.flatMap(({ stage, steps }): readonly (readonly [string, Digest])[] => {
      const known = steps.flatMap(({ id, text }): readonly RunStep[] => {
        const step = this.#current.get(id);
        if (step === undefined || !hasResult(id)) return [];
        const reason = reasons.get(id);
        return [{ ...alignedOf(text), node: step.digest, ...(reason === undefined ? {} : { reason }) }];
      });
      return known.length === 0 ? [] : [[stage, this.#parts.addSteps(known)]];
    });
    const key = result && this.#current.get(result)?.node.key;
    await database.transaction(() => {
      const added = this.#parts.write();
      writeBuild(database, place, { at: clock.now(), stages: Object.fromEntries(lists), key });
      sweepHistory(database, added);
    });
  }
}

/** Why it ran, but for the time: the same reason is the same another time. */
function withoutTime(cause: MissCause): MissCause {
  return cause.kind === "record" ? { kind: "record", gone: cause.gone } : cause;
}

function alignedOf(text: string): Aligned {
  return { mark: toldText(text).mark, keyword: /^\S*/.exec(text)?.[0].toUpperCase() ?? "" };
}

/** CAUSES as those of the step ID: where no other step is named they are its own. */
function missOf(causes: readonly AttributedCause[], id: Digest): Miss {
  const own = causes.map(({ cause, step }) => (step === undefined || step.digest === id ? { cause } : { cause, step }));
  const shown = own.slice(0, TOLD_MAX);
  return { causes: shown, omitted: own.length - shown.length };
}

function noted({ name, value, variable }: StepDraft["variables"][number]): NotedVariable {
  if (mayBeSecret(name)) return { name, variable, ...untold(value), isHidden: true };
  return { name, variable, ...told(value) };
}

/** The op of a process without its environment, which is noted for itself. */
function withoutEnvironment(op: unknown): unknown {
  const { exec } = (op ?? {}) as { readonly exec?: { readonly meta?: object } };
  if (exec === undefined) return bounded(op);
  return bounded({ ...(op as object), exec: { ...exec, meta: { ...exec.meta, env: undefined } } });
}

/** UTF-16 units of an op that are kept. */
const OP_MAX_LENGTH = 256 * 1024;

function bounded(op: unknown): unknown {
  const text = JSON.stringify(op ?? null);
  return text.length <= OP_MAX_LENGTH ? op : { digest: digestOf(text) };
}
