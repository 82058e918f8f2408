import type { CacheManager, CacheRecord } from "./cache-manager.js";
import type { Result } from "./op.js";
import type { VertexTask } from "./vertex-task.js";

/**
 * The records in CACHE that nothing left to do needs: all that is made from their results is there and kept. TASKS have their inputs
 * before them; what ROOTS make is the caller's.
 */
export function spareRecords<R extends Result>(
  tasks: readonly VertexTask<R>[],
  roots: ReadonlySet<VertexTask<R>>,
  cache: CacheManager<R>,
): readonly CacheRecord[] {
  const needed = new Set(roots);
  for (const task of tasks.toReversed()) {
    // What has no record of its own stands on those of its inputs.
    const isSettled = task.isDone && task.account.map?.kept;
    if (needed.has(task) && !isSettled) for (const input of task.inputs) needed.add(input.task);
  }
  // Another vertex may have found the same record.
  const held = new Set([...needed].flatMap((task) => [...task.found]));
  return tasks.flatMap((task) => {
    const { location } = task;
    const isSpare = task.isDone && !needed.has(task) && location?.cache === cache && !held.has(location.record.id);
    return isSpare ? [location.record] : [];
  });
}
