import type { Digest, MissCause } from "../../base/index.js";
import type { CacheKey } from "../../solver/index.js";
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

/** An earlier build: of each stage the part that lists its steps. */
export interface PastBuild {
  readonly id: number;
  readonly at: number;
  readonly stages: Readonly<Record<string, Digest>>;
}

/** A step of the Dockerfile, in the order of the stage, and what it was. */
export interface RunStep extends Aligned {
  readonly node: Digest;
  /** Why it ran again, where it gave another result then. */
  readonly reason?: MissCause;
}

/** Builds that are remembered at each place; of a place that has none, so many of other places are looked at. */
const BUILDS_MAX = 12;
/** Builds that are remembered in all. */
const ROWS_MAX = 2_000;

/** When a build was last made: one that runs nothing writes nothing but that its result was found. */
const LAST_MADE = `max(at, coalesce((SELECT max(record.used_at) FROM key_record JOIN record ON record.id = key_record.record
  WHERE key_record.key = history_build.key), 0))`;

/** Builds at PLACE, the last one first; where there was none, those of the same Dockerfile in another context. */
export function pastBuilds(database: Database, place: BuildPlace): readonly PastBuild[] {
  const select = (where: string, ...params: readonly string[]) =>
    database.all<{ id: number; at: number; stages: string }>(
      `SELECT id, at, stages FROM history_build WHERE ${where} ORDER BY ${LAST_MADE} DESC, id DESC LIMIT ${BUILDS_MAX}`,
      ...params,
    );
  const here = select("context = ? AND dockerfile = ?", place.context, place.dockerfile);
  const rows = here.length > 0 ? here : select("dockerfile = ? OR text = ?", place.dockerfile, place.text);
  return rows.map(({ id, at, stages }) => ({ id, at, stages: JSON.parse(stages) as PastBuild["stages"] }));
}

/** Notes a build that was made at PLACE; KEY is that of its result. To be called in a transaction. */
export function writeBuild(
  database: Database,
  { context, dockerfile, text }: BuildPlace,
  build: { readonly at: number; readonly stages: PastBuild["stages"]; readonly key: CacheKey | undefined },
): void {
  const stages = JSON.stringify(build.stages);
  const here = "context = ? AND dockerfile = ?";
  database.run(`DELETE FROM history_build WHERE ${here} AND stages = ?`, context, dockerfile, stages);
  database.run(
    "INSERT INTO history_build (context, dockerfile, text, at, stages, key) VALUES (?, ?, ?, ?, ?, ?)",
    ...[context, dockerfile, text, build.at, stages, build.key ?? null],
  );
  const last = `SELECT id FROM history_build WHERE ${here} ORDER BY ${LAST_MADE} DESC, id DESC LIMIT ${BUILDS_MAX}`;
  const place = [context, dockerfile];
  database.run(`DELETE FROM history_build WHERE ${here} AND id NOT IN (${last})`, ...place, ...place);
  database.run(`DELETE FROM history_build WHERE id <= (SELECT max(id) FROM history_build) - ${ROWS_MAX}`);
}

/** A stage of the build under way beside the ways in which it was built before, the last one first. */
export class StagePast {
  readonly runs: readonly (readonly RunStep[])[];
  readonly #pairs: readonly ReadonlyMap<number, number>[];
  readonly #order: ReadonlyMap<Digest, number>;
  readonly #kept: ReadonlySet<Digest>;
  readonly #moved: ReadonlySet<string>;

  constructor(steps: readonly (Aligned & { readonly id: Digest })[], runs: readonly (readonly RunStep[])[]) {
    this.runs = runs;
    this.#order = new Map(steps.map(({ id }, i) => [id, i]));
    this.#pairs = runs.map((run) => align(steps, run));
    this.#kept = new Set(
      runs.flatMap((run, n) => [...(this.#pairs[n]?.values() ?? [])].flatMap((index) => run[index]?.node ?? [])),
    );
    this.#moved = new Set(runs.flatMap((run, n) => movedMarks(steps, run, this.#pairs[n] ?? new Map())));
  }

  /** Whether a step of the text MARK stood elsewhere in a run. */
  isMoved(mark: string): boolean {
    return this.#moved.has(mark);
  }

  /** What the step ID was in each run; undefined where a run had it not. */
  counterparts(id: Digest): readonly (Digest | undefined)[] {
    const order = this.#order.get(id);
    if (order === undefined) return [];
    return this.runs.map((run, n) => run[this.#pairs[n]?.get(order) ?? -1]?.node);
  }

  /** Whether the step ID is what OLDER was; `added`: a run that had OLDER did not have the step. */
  match(id: Digest, older: Digest): "same" | "added" | "unknown" {
    const nodes = this.counterparts(id);
    const having = nodes.filter((_, n) => this.runs[n]?.some(({ node }) => node === older));
    if (having.includes(older)) return "same";
    return having.length > 0 && having.every((node) => node === undefined) ? "added" : "unknown";
  }

  /** Whether a step of this build is what OLDER was. */
  keeps(older: Digest): boolean {
    return this.#kept.has(older);
  }
}

/** Marks of texts that are in both stages, but not in the same place. */
function movedMarks(
  newer: readonly Aligned[],
  older: readonly Aligned[],
  pairs: ReadonlyMap<number, number>,
): readonly string[] {
  const paired = new Set(pairs.values());
  const left = new Set(older.flatMap(({ mark }, i) => (paired.has(i) ? [] : mark)));
  return newer.flatMap(({ mark }, i) => (pairs.has(i) || !left.has(mark) ? [] : mark));
}
