import type { Digest } from "../../base/index.js";
import type { Database } from "../../store/index.js";
import { type Aligned, align } from "./alignment.js";

/** Where a Dockerfile is built: what makes a step of one build the same step in another. */
export interface BuildPlace {
  /** The main context as the user named it, resolved. */
  readonly context: string;
  /** The Dockerfile's path or address. */
  readonly dockerfile: string;
  /** A digest of its text. */
  readonly text: string;
}

/** One way in which a stage was built. */
export interface StageRun {
  readonly id: number;
  readonly at: number;
  readonly steps: readonly RunStep[];
}

/** A step of the Dockerfile, in the order of the stage, and what it was. */
export interface RunStep extends Aligned {
  readonly node: Digest;
}

/** Ways to build a stage that are remembered at each place; of a stage that a place has none of, those of so many other places are looked at. */
const RUNS_MAX = 4;
/** Stages that are remembered in all. */
const ROWS_MAX = 4_000;

type RunRow = { readonly id: number; readonly at: number; readonly steps: string };

/**
 * The ways in which STAGE was built, the last one first: at PLACE, or, where it was never built there, with the same Dockerfile in another
 * context.
 */
export function stageRuns(database: Database, place: BuildPlace, stage: string): readonly StageRun[] {
  const exact = database.all<RunRow>(
    `SELECT id, at, steps FROM history_run WHERE stage = ? AND context = ? AND dockerfile = ? ORDER BY id DESC LIMIT ${RUNS_MAX}`,
    ...[stage, place.context, place.dockerfile],
  );
  const rows =
    exact.length > 0
      ? exact
      : database.all<RunRow>(
          `SELECT id, at, steps FROM history_run WHERE stage = ? AND (dockerfile = ? OR text = ?) ORDER BY id DESC LIMIT ${RUNS_MAX}`,
          ...[stage, place.dockerfile, place.text],
        );
  return rows.map(({ id, at, steps }) => ({ id, at, steps: JSON.parse(steps) as RunStep[] }));
}

/** Notes that STAGE was built so; to be called in a transaction. */
export function writeRun(
  database: Database,
  place: BuildPlace,
  run: { readonly stage: string; readonly at: number; readonly steps: readonly RunStep[] },
): void {
  const { context, dockerfile, text } = place;
  const steps = JSON.stringify(run.steps);
  const here = "stage = ? AND context = ? AND dockerfile = ?";
  const where = [run.stage, context, dockerfile];
  database.run(`DELETE FROM history_run WHERE ${here} AND steps = ?`, ...where, steps);
  database.run(
    "INSERT INTO history_run (context, dockerfile, text, stage, at, steps) VALUES (?, ?, ?, ?, ?, ?)",
    ...[context, dockerfile, text, run.stage, run.at, steps],
  );
  database.run(
    `DELETE FROM history_run WHERE ${here} AND id NOT IN (SELECT id FROM history_run WHERE ${here} ORDER BY id DESC LIMIT ${RUNS_MAX})`,
    ...where,
    ...where,
  );
  database.run(`DELETE FROM history_run WHERE id <= (SELECT max(id) FROM history_run) - ${ROWS_MAX}`);
}

/** A stage of the build under way beside the ways in which it was built before. */
export class StagePast {
  readonly runs: readonly StageRun[];
  readonly #pairs: readonly ReadonlyMap<number, number>[];
  readonly #order: ReadonlyMap<Digest, number>;
  readonly #kept = new Set<Digest>();

  constructor(steps: readonly (Aligned & { readonly id: Digest })[], runs: readonly StageRun[]) {
    this.runs = runs;
    this.#order = new Map(steps.map(({ id }, i) => [id, i]));
    this.#pairs = runs.map((run) => align(steps, run.steps));
    for (const [n, pairs] of this.#pairs.entries())
      for (const index of pairs.values()) {
        const node = runs[n]?.steps[index]?.node;
        if (node) this.#kept.add(node);
      }
  }

  /** What the step ID was in each run that has it, the last one first. */
  counterparts(id: Digest): readonly { readonly run: StageRun; readonly node: Digest }[] {
    const order = this.#order.get(id);
    if (order === undefined) return [];
    return this.runs.flatMap((run, n) => {
      const node = run.steps[this.#pairs[n]?.get(order) ?? -1]?.node;
      return node === undefined ? [] : [{ run, node }];
    });
  }

  /** Whether the step ID is what OLDER was; `added`: a run that had OLDER did not have the step. */
  match(id: Digest, older: Digest): "same" | "added" | "unknown" {
    if (!this.#order.has(id)) return "unknown";
    const having = this.runs.filter(({ steps }) => steps.some(({ node }) => node === older));
    if (having.length === 0) return "unknown";
    const nodes = new Map(this.counterparts(id).map(({ run, node }) => [run.id, node]));
    if (having.some((run) => nodes.get(run.id) === older)) return "same";
    return having.some((run) => nodes.has(run.id)) ? "unknown" : "added";
  }

  /** Whether a step of this build is what OLDER was. */
  keeps(older: Digest): boolean {
    return this.#kept.has(older);
  }
}
