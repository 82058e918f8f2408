import type { AbortOptions, Digest } from "../base/index.js";
import { buryRecords, leasedRecords } from "../cache/index.js";
import { isAsItWas, type LayerId, ownerIsAlive } from "../snapshot/index.js";
import type { PruneEngine } from "./prune.js";

/**
 * Forgets what has lost its files behind the engine's back, as far as one look at each layer tells: such layers, records of them and of layers
 * that are gone, and cache mounts. What running builds have is left to them. Images keep their names. How many records that were.
 */
export async function forgetLost(engine: PruneEngine, options: AbortOptions): Promise<number> {
  const { database, layers, dirs, clock } = engine;
  const lost = await layers.mend(finishedLayers(engine).map(({ id }) => id));
  const isDangling = `(SELECT record FROM record_layer WHERE layer NOT IN (SELECT id FROM layer)
    OR layer IN (SELECT value FROM json_each(?)))`;
  const dangling = `SELECT DISTINCT record FROM record_layer WHERE record IN ${isDangling}`;
  let records = 0;
  if (database.get(dangling, JSON.stringify(lost))) {
    records = await database.transaction(() => {
      const leased = leasedRecords(database, (owner) => ownerIsAlive(dirs.owners, owner));
      const where = `id IN ${isDangling} AND id NOT IN (SELECT value FROM json_each(?))`;
      const burial = { at: clock.now(), reason: "damaged" } as const;
      return buryRecords(database, where, [JSON.stringify(lost), JSON.stringify([...leased])], burial);
    }, options);
  }
  for (const mount of lostMounts(engine)) await engine.cacheMounts.remove(mount);
  return records;
}

/** A layer whose files should be on this disk; those of cache mounts are not among them. */
export type FinishedRow = {
  readonly id: LayerId;
  readonly stamp: string | null;
  readonly shape: Digest | null;
  readonly diff_id: Digest | null;
  readonly origin: string | null;
};

/** All layers whose files should be on this disk and stay what they are. */
export function finishedLayers({ database }: Pick<PruneEngine, "database">): readonly FinishedRow[] {
  return database.all<FinishedRow>(
    `SELECT id, stamp, shape, diff_id, origin FROM layer
     WHERE state = 'ready' AND id NOT IN (SELECT layer FROM cache_mount) ORDER BY id`,
  );
}

type MountRow = {
  readonly key: Digest;
  readonly slot: number;
  readonly description: string;
  readonly layer: LayerId;
};

/** Cache mounts whose directories are gone. */
export function lostMounts({ database, dirs }: Pick<PruneEngine, "database" | "dirs">): readonly MountRow[] {
  const known = new Set(database.all<{ id: LayerId }>("SELECT id FROM layer").map(({ id }) => id));
  return database
    .all<MountRow>("SELECT key, slot, description, layer FROM cache_mount ORDER BY description, key, slot")
    .filter(({ layer }) => !known.has(layer) || !isAsItWas(dirs, { id: layer, stamp: null }));
}
