import type { RecordLoss } from "../base/index.js";
import type { Database, SqlValue } from "../store/index.js";

/** When and why records were removed. Milliseconds since the epoch. */
export interface Burial {
  readonly at: number;
  readonly reason: Exclude<RecordLoss, "missing">;
}

/** So many removed records are remembered. */
const TOMBSTONES_MAX = 10_000;

/** Removes the records that WHERE (with PARAMS) chooses, and remembers that they were there; within a transaction. How many they were. */
export function buryRecords(database: Database, where: string, params: readonly SqlValue[], burial: Burial): number {
  const { at, reason } = burial;
  database.run(
    `INSERT OR REPLACE INTO tombstone (content_key, at, reason) SELECT content_key, ?, ? FROM record WHERE ${where}`,
    ...[at, reason, ...params],
  );
  const newest = `SELECT at FROM tombstone ORDER BY at DESC LIMIT 1 OFFSET ${TOMBSTONES_MAX}`;
  database.run(`DELETE FROM tombstone WHERE at <= (${newest})`);
  return database.run(`DELETE FROM record WHERE ${where}`, ...params).changes;
}
