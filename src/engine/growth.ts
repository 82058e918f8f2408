import type { PruneEngine } from "./prune.js";

/**
 * By how many bytes the layers in the making, and the cache mounts that were used since they were measured, are larger than the database
 * knows. No more than ENTRIES_MAX files are looked at: where there are more, what is told is less than what is there.
 */
export async function growth({ database, plane }: PruneEngine, entriesMax: number): Promise<number> {
  const growing = database.all<{ id: number; size_bytes: number }>(
    `SELECT id, size_bytes FROM layer WHERE state = 'active'
     UNION ALL SELECT id, size_bytes FROM cache_mount JOIN layer ON layer.id = layer WHERE measured_at <= used_at AND state <> 'lazy'
     ORDER BY id`,
  );
  if (growing.length === 0) return 0;
  const rooms = await plane.control("measureRoom", { layers: growing.map(({ id }) => id), entriesMax });
  return rooms.reduce((sum, { sizeBytes, isWhole }, i) => {
    const more = sizeBytes - (growing[i]?.size_bytes ?? 0);
    return sum + (isWhole ? more : Math.max(more, 0));
  }, 0);
}
