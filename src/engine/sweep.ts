import fs from "node:fs";
import path from "node:path";
import { deadOwners, type LayerStore, ownerIsAlive, type StateDirs } from "../snapshot/index.js";
import type { ContentStore } from "../store/index.js";

export interface Sweeping {
  readonly dirs: StateDirs;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  /** This engine's own id. */
  readonly owner: string;
}

/**
 * Clears away what engines left that were killed: layers they were making, leases, temporary files, cgroups and runtime state. What a
 * living owner has is left alone. Cheap where nobody died.
 */
export async function sweepDeadOwners({ dirs, layers, store, owner }: Sweeping): Promise<void> {
  const locks = deadOwners(dirs.owners);
  const named = layers.owners().filter((id) => id !== owner && !ownerIsAlive(dirs.owners, id));
  const dead = [...new Set([...locks, ...named])];
  if (dead.length === 0) return;
  const { sweepExecutor } = await import("../executor/index.js");
  await sweepExecutor(dirs, (id) => ownerIsAlive(dirs.owners, id));
  await layers.takeOver(dead);
  for (const name of fs.readdirSync(dirs.tmp)) {
    if (dead.some((id) => name.startsWith(`${id}-`)))
      fs.rmSync(path.join(dirs.tmp, name), { recursive: true, force: true });
  }
  // Blobs being written carry no owner: only where nobody else is there are they all of the dead.
  if (isAlone(dirs, owner)) await store.sweep({ all: true });
  for (const id of locks) fs.rmSync(path.join(dirs.owners, id), { force: true });
}

/** Whether no other engine runs on this state directory. */
export function isAlone(dirs: StateDirs, owner: string): boolean {
  return fs.readdirSync(dirs.owners).every((id) => id === owner || !ownerIsAlive(dirs.owners, id));
}
