import type { Digest } from "../../base/index.js";
import type { Database } from "../../store/index.js";

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

/** Builds that are remembered at each place; of a place that has none, so many of other places are looked at. */
const BUILDS_MAX = 12;
/** Earlier ones that are remembered beside them: the last of each target, that is, with stages that none after it had together. */
const TARGETS_MAX = 12;
/** Builds that are remembered in all. */
const ROWS_MAX = 2_000;

const HERE = "context = ? AND dockerfile = ?";

/** Builds at PLACE, the last one first; where there was none, those of the same Dockerfile in another context. */
export function pastBuilds(database: Database, place: BuildPlace): readonly PastBuild[] {
  const select = (where: string, ...params: readonly string[]) =>
    database.all<{ id: number; at: number; stages: string }>(
      `SELECT id, at, stages FROM history_build WHERE ${where} ORDER BY id DESC LIMIT ${BUILDS_MAX + TARGETS_MAX}`,
      ...params,
    );
  const here = select(HERE, place.context, place.dockerfile);
  const rows = here.length > 0 ? here : select("dockerfile = ? OR text = ?", place.dockerfile, place.text);
  return rows.map(({ id, at, stages }) => ({ id, at, stages: JSON.parse(stages) as PastBuild["stages"] }));
}

/** Makes those of IDS the last builds, that this one was compared with: a state that is edited time and again stays known. In a transaction. */
export function keepBuilds(database: Database, { context, dockerfile }: BuildPlace, ids: readonly number[]): void {
  const raise = `UPDATE history_build SET id = (SELECT max(id) + 1 FROM history_build) WHERE ${HERE} AND id = ?`;
  for (const id of ids) database.run(raise, context, dockerfile, id);
}

/**
 * Notes a build that was made at PLACE as the last one; STATE tells apart what builds there were made of, and is undefined of one that has
 * no result. To be called in a transaction.
 */
export function writeBuild(
  database: Database,
  { context, dockerfile, text }: BuildPlace,
  build: { readonly at: number; readonly stages: PastBuild["stages"]; readonly state: string | undefined },
): void {
  const stages = JSON.stringify(build.stages);
  const state = build.state ?? null;
  const same = `DELETE FROM history_build WHERE ${HERE} AND (stages = ? OR state = ?)`;
  database.run(same, context, dockerfile, stages, state);
  database.run(
    "INSERT INTO history_build (context, dockerfile, text, at, stages, state) VALUES (?, ?, ?, ?, ?, ?)",
    ...[context, dockerfile, text, build.at, stages, state],
  );
  forgetBuilds(database, context, dockerfile);
  database.run(`DELETE FROM history_build WHERE id <= (SELECT max(id) FROM history_build) - ${ROWS_MAX}`);
}

function forgetBuilds(database: Database, context: string, dockerfile: string): void {
  const select = `SELECT id, stages FROM history_build WHERE ${HERE} ORDER BY id DESC`;
  const rows = database.all<{ id: number; stages: string }>(select, context, dockerfile);
  if (rows.length <= BUILDS_MAX) return;
  const targets = new Set<string>();
  let others = 0;
  for (const [i, { id, stages }] of rows.entries()) {
    const target = Object.keys(JSON.parse(stages) as PastBuild["stages"])
      .sort()
      .join("\n");
    const isLast = !targets.has(target);
    targets.add(target);
    if (i < BUILDS_MAX || (isLast && others++ < TARGETS_MAX)) continue;
    database.run("DELETE FROM history_build WHERE id = ?", id);
  }
}
