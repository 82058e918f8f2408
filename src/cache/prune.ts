import type { AbortOptions } from "../base/index.js";
import type { Database } from "../store/index.js";
import { buryRecords } from "./tombstones.js";

/** Records that a living owner has leased. IS_ALIVE tells of an owner's id whether its process runs. */
export function leasedRecords(database: Database, isAlive: (owner: string) => boolean): ReadonlySet<string> {
  const leases = database.all<{ owner: string; target: string }>(
    "SELECT DISTINCT owner, target FROM lease WHERE kind = 'record'",
  );
  const owners = new Map([...new Set(leases.map(({ owner }) => owner))].map((owner) => [owner, isAlive(owner)]));
  return new Set(leases.filter(({ owner }) => owners.get(owner)).map(({ target }) => target));
}

export interface PruneRecordsOptions extends AbortOptions {
  /** Now, in milliseconds since the epoch. */
  readonly at: number;
  /** Only these. */
  readonly only?: readonly string[];
}

/** Forgets records, but for those that a living owner has leased, and the keys that name none any more; how many records that were. */
export async function pruneRecords(
  database: Database,
  isAlive: (owner: string) => boolean,
  { at, only, ...options }: PruneRecordsOptions,
): Promise<number> {
  return database.transaction(() => {
    const leased = leasedRecords(database, isAlive);
    const candidates = only ?? database.all<{ id: string }>("SELECT id FROM record").map(({ id }) => id);
    const doomed = JSON.stringify(candidates.filter((id) => !leased.has(id)));
    const where = "id IN (SELECT value FROM json_each(?))";
    const count = buryRecords(database, where, [doomed], { at, reason: "pruned" });
    database.run("DELETE FROM cache_key WHERE key NOT IN (SELECT key FROM key_record)");
    return count;
  }, options);
}
