import fs from "node:fs";
import path from "node:path";
import { sweepExecutor } from "../executor/index.js";
import { type DataPlane, deadOwners, ownerIsAlive, type StateDirs } from "../snapshot/index.js";
import type { Database } from "../store/index.js";

/**
 * Clears away what engines left that were killed: layers they were making, leases, temporary files, cgroups and runtime state. What a
 * living owner has is left alone. Cheap where nobody died.
 */
export async function sweepDeadOwners({
  dirs,
  database,
  plane,
}: {
  readonly dirs: StateDirs;
  readonly database: Database;
  readonly plane: DataPlane;
}): Promise<void> {
  const dead = deadOwners(dirs.owners);
  if (dead.length === 0) return;
  await sweepExecutor(dirs, (owner) => ownerIsAlive(dirs.owners, owner));
  for (const owner of dead) {
    const layers = database
      .all<{ id: number }>("SELECT id FROM layer WHERE owner = ? AND state = 'active'", owner)
      .map(({ id }) => id);
    if (layers.length > 0) await plane.run("removeLayers", { layers });
    await database.transaction(() => {
      database.run("DELETE FROM lease WHERE owner = ?", owner);
      database.run("DELETE FROM layer WHERE owner = ? AND state = 'active'", owner);
      database.run("UPDATE layer SET owner = NULL WHERE owner = ?", owner);
    });
    for (const name of fs.readdirSync(dirs.tmp)) {
      if (name.startsWith(`${owner}-`)) fs.rmSync(path.join(dirs.tmp, name), { recursive: true, force: true });
    }
    fs.rmSync(path.join(dirs.owners, owner), { force: true });
  }
}
