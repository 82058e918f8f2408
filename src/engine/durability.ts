import type { Clock } from "../base/index.js";
import { buryRecords } from "../cache/index.js";
import type { DataPlane } from "../snapshot/index.js";
import type { Database } from "../store/index.js";

export interface DurabilityOptions {
  readonly database: Database;
  readonly plane: DataPlane;
  readonly clock: Clock;
  readonly bootId: string;
}

/**
 * Forgets layers that a crash of the machine may have left half-written, and the records that name them: those of another boot that were
 * never known to be on disk. Nothing is synced while a build waits; after a reboot what is doubtful is made again.
 */
export async function forgetUnsynced({ database, plane, clock, bootId }: DurabilityOptions): Promise<void> {
  const doubtful = "state = 'ready' AND durable = 0 AND boot_id <> ?";
  const layers = database.all<{ id: number }>(`SELECT id FROM layer WHERE ${doubtful}`, bootId).map(({ id }) => id);
  if (layers.length === 0) return;
  await plane.run("removeLayers", { layers });
  await database.transaction(() => {
    for (const layer of layers) {
      const naming = "id IN (SELECT record FROM record_layer WHERE layer = ?)";
      buryRecords(database, naming, [layer], { at: clock.now(), reason: "crash" });
      database.run("DELETE FROM cache_mount WHERE layer = ?", layer);
      // An image's layer can be fetched again; any other is gone.
      database.run("UPDATE layer SET state = 'lazy', size_bytes = 0 WHERE id = ? AND origin IS NOT NULL", layer);
      database.run("DELETE FROM layer WHERE id = ? AND origin IS NULL", layer);
    }
  });
}

/** Younger layers are left to a later engine: the kernel has not had the time to write them by itself, and syncing would take long. */
const SETTLED_MS = 60_000;

/** Sees to it that layers made a while ago are on disk, and notes it. To be run beside other work. */
export async function syncSettled({ database, plane, clock, bootId }: DurabilityOptions): Promise<void> {
  const settled = "state = 'ready' AND durable = 0 AND boot_id = ? AND created_at < ?";
  const before = clock.now() - SETTLED_MS;
  if (!database.get(`SELECT 1 FROM layer WHERE ${settled} LIMIT 1`, bootId, before)) return;
  await plane.read("syncState", {});
  await database.transaction(() => database.run(`UPDATE layer SET durable = 1 WHERE ${settled}`, bootId, before));
}
