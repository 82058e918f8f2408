import type { Database } from "../../store/index.js";

/** Needless parts are looked for when there are twice as many as the last time were left; fewer than this are never looked through. */
const PARTS_MIN = 2_000;
/** UTF-16 units of all parts; above it the older half of the builds is forgotten. */
const LENGTH_MAX = 128 << 20;

/** Notes that so many PARTS of that LENGTH were added, and now and then removes those that nothing names any more; in a transaction. */
export function sweepHistory(database: Database, added: { readonly parts: number; readonly length: number }): void {
  database.run("UPDATE history_size SET parts = parts + ?, length = length + ?", added.parts, added.length);
  const size = database.get<{ parts: number; length: number; parts_kept: number }>(
    "SELECT parts, length, parts_kept FROM history_size",
  );
  if (size === undefined || (size.parts <= Math.max(PARTS_MIN, 2 * size.parts_kept) && size.length <= LENGTH_MAX))
    return;
  if (size.length > LENGTH_MAX) database.run(`DELETE FROM history_build WHERE id NOT IN (${NEWER_HALF})`);
  database.run(`${LIVE_PARTS} DELETE FROM history_part WHERE digest NOT IN (SELECT digest FROM live)`);
  database.run("DELETE FROM history_tree WHERE json_extract(roots, '$[0]') NOT IN (SELECT digest FROM history_part)");
  database.run(
    `UPDATE history_size SET (parts, length) = (SELECT count(*), coalesce(sum(length(body)), 0) FROM history_part)`,
  );
  database.run("UPDATE history_size SET parts_kept = parts");
}

const NEWER_HALF = "SELECT id FROM history_build ORDER BY id DESC LIMIT (SELECT count(*) / 2 FROM history_build)";
const LIVE_PARTS = `WITH RECURSIVE live (digest) AS (
  SELECT stage.value FROM history_build, json_each(history_build.stages) AS stage
  UNION
  SELECT ref.value FROM live JOIN history_part ON history_part.digest = live.digest, json_each(history_part.refs) AS ref
)`;
