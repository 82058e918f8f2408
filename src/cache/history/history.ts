import {
  type Clock,
  causeIdentity,
  type Digest,
  lazy,
  type Miss,
  type MissCause,
  type RecordLoss,
  redactCredentials,
} from "../../base/index.js";
import type { ContentTree } from "../../snapshot/index.js";
import type { Database } from "../../store/index.js";
import type { Aligned } from "./alignment.js";
import type { Causes, CurrentStep } from "./causes.js";
import { Differences } from "./difference.js";
import { editsIn } from "./edits.js";
import { keptOp, keptSettings, keptSource, keptVariables, keptWords, secretsOf } from "./kept-op.js";
import type { DraftVariable, NodeInput, StepDraft, StepNode } from "./node.js";
import { Parts } from "./parts.js";
import { compareRecorded, type StepComparison } from "./recorded.js";
import { Outline, type OutlinedStage, type OutlinedStep, Reference, type RunStep } from "./reference.js";
import { type BuildPlace, keepBuilds, type PastBuild, pastBuilds, writeBuild } from "./runs.js";
import { SelectionDifferences } from "./selection-difference.js";
import { keptName, plainCause, toldText } from "./shown.js";
import { sweepHistory } from "./sweep.js";

/** The steps of one stage, in order. */
export interface StageOutline {
  readonly stage: string;
  /** What its FROM names, and the variables that this depends on. */
  readonly base:
    | {
        readonly name: string;
        readonly variables: readonly DraftVariable[];
        /** Values of other variables that may not be told nor kept. */
        readonly secrets?: Iterable<string> | undefined;
      }
    | undefined;
  readonly steps: readonly { readonly id: Digest; readonly text: string; readonly name: string }[];
}

/** What earlier builds of the same Dockerfile were made of, beside one build under way. */
export interface BuildHistory {
  /** Whether the entries of a selection are known. */
  knowsListing(listing: Digest): boolean;
  /** Tells them. */
  addListing(listing: Digest, trees: readonly ContentTree[]): void;
  /** Tells of a vertex of this build, behind its inputs; telling more of it later replaces what was told. */
  add(draft: StepDraft): void;
  has(id: Digest): boolean;
  /** Why the step ID was not in the cache; undefined where no earlier build is known that had its stage. */
  explain(id: Digest): Miss | undefined;
  /** What the step ID was in the last builds; undefined where none is known that had it. It needs to be told of no vertex. */
  compare(id: Digest): StepComparison | undefined;
  /** Remembers this build as the last one at its place. */
  save(end: BuildEnd): Promise<void>;
}

/** How a build ended. */
export interface BuildEnd {
  /** Tells apart what builds at one place were made of; undefined of one that has no result. */
  readonly state: string | undefined;
  /** What became of a step; undefined where nobody needed it or it was not come to. */
  readonly outcome: (id: Digest) => "done" | "failed" | undefined;
}

export interface BuildHistoryOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly place: BuildPlace;
  readonly stages: readonly StageOutline[];
}

/** Causes that are told of one step. */
const TOLD_MAX = 5;

export function openBuildHistory(options: BuildHistoryOptions): BuildHistory {
  return new History(options);
}

/** An earlier build, and what differs from it. */
interface Comparison {
  readonly build: PastBuild;
  readonly reference: Reference;
  readonly differences: Differences;
}

class History implements BuildHistory {
  readonly #options: BuildHistoryOptions;
  readonly #parts: Parts;
  readonly #current = new Map<Digest, CurrentStep>();
  readonly #misses = new Map<Digest, Miss>();
  /** Causes that were told of steps, by their identities, and the builds that steps were compared with. */
  readonly #told = new Set<string>();
  readonly #chosen = new Set<Comparison>();
  readonly #outline: Outline;
  readonly #comparisons = lazy((): readonly Comparison[] => {
    const selections = new SelectionDifferences(this.#parts);
    return pastBuilds(this.#options.database, this.#options.place).map((build) => {
      const reference = new Reference(this.#outline, build.stages, this.#parts);
      return { build, reference, differences: new Differences(reference, this.#parts, selections) };
    });
  });

  constructor(options: BuildHistoryOptions) {
    this.#options = options;
    this.#parts = new Parts(options.database);
    this.#outline = new Outline(options.stages.map(outlined));
  }

  knowsListing(listing: Digest): boolean {
    return this.#parts.roots(listing).length > 0;
  }

  addListing(listing: Digest, trees: readonly ContentTree[]): void {
    this.#parts.addTrees(listing, trees);
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
    const { name, text, key, op, variables, settings, choosers = [], taken = [], source } = draft;
    const secrets = secretsOf(variables, draft.secrets);
    return {
      name: keptName(name, secrets),
      ...(text === undefined ? {} : { text: toldText(text) }),
      ...(key === undefined ? {} : { key }),
      op: keptOp(op, secrets),
      ...(variables.length === 0 ? {} : { variables: this.#parts.addVariables(keptVariables(variables, secrets)) }),
      ...(settings === undefined ? {} : { settings: keptSettings(settings, secrets) }),
      ...(choosers.length === 0 ? {} : { choosers: keptVariables(choosers, secrets) }),
      ...(taken.length === 0 ? {} : { taken: keptWords(taken, secrets) }),
      ...(source === undefined ? {} : { source: keptSource(source, secrets) }),
      inputs: draft.inputs.flatMap(({ id: _, content, listing, ...input }, i): readonly NodeInput[] => {
        const node = inputs[i]?.digest;
        return node === undefined ? [] : [{ ...input, node, ...(content && { content }), ...(listing && { listing }) }];
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
    const causes = step && this.#causes(step);
    if (causes === undefined) return undefined;
    for (const each of causes.list) this.#told.add(causeIdentity(each, id));
    const miss = missOf(causes, id);
    this.#misses.set(id, miss);
    return miss;
  }

  /** The causes against the earlier build that is nearest; undefined where none is known that could have had a result of the step. */
  #causes(step: CurrentStep): Causes | undefined {
    const had = this.#comparisons().filter(({ reference }) => reference.hasStage(step.id));
    if (had.length === 0) return undefined;
    const nearest = this.#nearest(step, had);
    if (nearest) {
      this.#chosen.add(nearest.comparison);
      if (nearest.causes.list.length > 0) return nearest.causes;
      return only(this.#burial(step) ?? { kind: "record", gone: "missing" });
    }
    const was = had.flatMap(({ reference }) => reference.counterpart(step.id) ?? []);
    if (was.some((each) => each.node !== undefined && each.lacks === undefined))
      return only(this.#burial(step) ?? { kind: "result" });
    return was[0]?.lacks === "failed" ? only({ kind: "failed" }) : undefined;
  }

  /**
   * Of the builds that had a result of the step, or had not the step, the one that says the least that was not told yet; then one that other steps were compared
   * with, then the one from which the least differs, then the one with the likest Dockerfile, then the last one. So steps that are built on each other are told as one change.
   * One that had not the step comes after all that had it where the step was edited rather than added.
   */
  #nearest(step: CurrentStep, comparisons: readonly Comparison[]): Nearest | undefined {
    const seen = new Set<Digest | undefined>();
    let nearest: Nearest | undefined;
    for (const comparison of comparisons) {
      const { reference, differences } = comparison;
      const was = reference.counterpart(step.id);
      const node = was?.lacks === undefined ? was?.node : undefined;
      if ((was !== undefined && node === undefined) || seen.has(node)) continue;
      seen.add(node);
      const causes = node === undefined ? differences.arrival(step) : differences.between(step, node);
      // Too little was known of it to tell the difference.
      if (node !== undefined && causes.list.length === 0 && !differences.isSame(step, node)) continue;
      const news = editsIn(causes.list.filter((each) => !this.#told.has(causeIdentity(each, step.id))));
      const isChosen = comparisons.some(
        (each) => this.#chosen.has(each) && each.reference.counterpart(step.id)?.node === was?.node,
      );
      const isDoubtful = node === undefined && this.#isEdited(step, comparisons);
      const all = editsIn(causes.list) + causes.more;
      const rank = [isDoubtful ? 1 : 0, news, isChosen ? 0 : 1, all, reference.textDistance()];
      if (nearest === undefined || isLess(rank, nearest.rank)) nearest = { comparison, causes, rank };
    }
    return nearest;
  }

  /** Whether the last build had a result of the step, or an earlier one by the same text: so it is none that was added. */
  #isEdited(step: CurrentStep, comparisons: readonly Comparison[]): boolean {
    return comparisons.some(({ reference }, i) => {
      const was = reference.counterpart(step.id);
      if (was?.node === undefined || was.lacks !== undefined) return false;
      return i === 0 || this.#parts.node(was.node)?.text?.mark === step.node.text?.mark;
    });
  }

  /** When and why the record of a step was removed; undefined where nobody knows. */
  #burial({ node: { key } }: CurrentStep): MissCause | undefined {
    const sql = "SELECT at, reason FROM tombstone WHERE content_key = ?";
    const row = key && this.#options.database.get<{ at: number; reason: RecordLoss }>(sql, key);
    return row && { kind: "record", gone: row.reason, at: row.at };
  }

  compare(id: Digest): StepComparison | undefined {
    const had = this.#comparisons().flatMap(({ build, reference }) => {
      const { node, lacks } = reference.counterpart(id) ?? {};
      return node === undefined || lacks !== undefined ? [] : [{ node, at: build.at, stages: build.stages }];
    });
    return compareRecorded(had, this.#parts);
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

  async save({ state, outcome }: BuildEnd): Promise<void> {
    const { database, place, clock } = this.#options;
    const reasons = this.#toldReasons();
    const runStep = ({ id, mark, keyword }: OutlinedStep): RunStep => {
      const node = this.#current.get(id)?.digest;
      const [reason, end] = [reasons.get(id), outcome(id)];
      const lacks = end === "done" && node !== undefined ? {} : { lacks: end === "failed" ? end : ("idle" as const) };
      return { mark, keyword, ...(node && { node }), ...lacks, ...(reason && { reason }) };
    };
    const stages = [...this.#outline.stages.values()].map(({ stage, base, steps }) => {
      return [stage, this.#parts.addStage({ ...(base && { base }), steps: steps.map(runStep) })] as const;
    });
    await database.transaction(() => {
      const added = this.#parts.write();
      keepBuilds(database, place, [...this.#chosen].map(({ build }) => build.id).reverse());
      writeBuild(database, place, { at: clock.now(), stages: Object.fromEntries(stages), state });
      sweepHistory(database, added);
    });
  }
}

interface Nearest {
  readonly comparison: Comparison;
  readonly causes: Causes;
  readonly rank: readonly number[];
}

/** Whether the first number that differs is less. */
function isLess(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((each, at) => each !== b[at]);
  return (a[i] ?? 0) < (b[i] ?? 0);
}

function only(cause: MissCause): Causes {
  return { list: [{ cause }], more: 0 };
}

function outlined({ stage, base, steps }: StageOutline): OutlinedStage {
  return {
    stage,
    base: base && {
      name: base.name,
      variables: keptVariables(base.variables, secretsOf(base.variables, base.secrets)),
    },
    steps: steps.map(({ id, text, name }) => ({ ...alignedOf(text), id, name: redactCredentials(name) })),
  };
}

/** Why it ran, but for the time: the same reason is the same another time. */
function withoutTime(cause: MissCause): MissCause {
  return cause.kind === "record" ? { kind: "record", gone: cause.gone } : cause;
}

function alignedOf(text: string): Aligned {
  return { mark: toldText(text).mark, keyword: /^\S*/.exec(text)?.[0].toUpperCase() ?? "" };
}

/** CAUSES as those of the step ID: where no other step is named they are its own. */
function missOf({ list, more }: Causes, id: Digest): Miss {
  const own = list.map(({ cause, step }) => ({
    cause: plainCause(cause),
    ...(step === undefined || step.digest === id ? {} : { step }),
  }));
  const shown = own.slice(0, TOLD_MAX);
  return { causes: shown, omitted: own.length - shown.length + more };
}
