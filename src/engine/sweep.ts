import fs from "node:fs";
import path from "node:path";
import { type Clock, errorCode } from "../base/index.js";
import { deadOwners, type LayerStore, ownerIsAlive, type StateDirs } from "../snapshot/index.js";
import type { ContentStore } from "../store/index.js";

export interface Sweeping {
  readonly dirs: StateDirs;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  /** This engine's own id. */
  readonly owner: string;
  readonly clock: Clock;
}

/**
 * Clears away what engines left that were killed: layers they were making, leases, temporary files, cgroups and runtime state. What a
 * living owner has is left alone. Cheap where nobody died.
 */
export async function sweepDeadOwners({ dirs, layers, store, owner, clock }: Sweeping): Promise<void> {
  const locks = deadOwners(dirs.owners, clock);
  const named = layers.owners().filter((id) => id !== owner && !ownerIsAlive(dirs.owners, id));
  const dead = [...new Set([...locks, ...named])];
  if (dead.length === 0) return;
  const { sweepExecutor } = await import("../executor/index.js");
  await sweepExecutor(dirs, (id) => ownerIsAlive(dirs.owners, id));
  if (!(await hasTakenOver(layers, dead))) return;
  sweepTemporary(dirs, owner);
  // Blobs being written carry no owner: only where nobody else is there are they all of the dead.
  await store.sweep({ isAlone: () => isAlone(dirs, owner) });
  for (const id of locks) fs.rmSync(path.join(dirs.owners, id), { recursive: true, force: true });
}

/** False where another process holds the database: what is left of the dead waits for a later engine, and nobody for that. */
async function hasTakenOver(layers: LayerStore, dead: readonly string[]): Promise<boolean> {
  try {
    await layers.takeOver(dead);
    return true;
  } catch (error) {
    if (errorCode(error) === "unavailable") return false;
    throw error;
  }
}

/** Removes temporary files that no living engine has; OWNER is this one. */
export function sweepTemporary(dirs: StateDirs, owner: string): void {
  // What has no name of an owner is nobody's if, after it was seen, nobody else is there who could have made it.
  const seen = [
    ...fs.readdirSync(dirs.tmp).map((name) => path.join(dirs.tmp, name)),
    ...fs.readdirSync(dirs.layers).flatMap((name) => (UNOWNED_LAYER.test(name) ? path.join(dirs.layers, name) : [])),
  ];
  const living = fs.readdirSync(dirs.owners).filter((id) => id === owner || ownerIsAlive(dirs.owners, id));
  const alone = isAlone(dirs, owner);
  for (const file of seen) {
    const name = path.basename(file);
    const isOwned = /^\d+-[0-9a-f]{8}-/.test(name);
    if (isOwned ? !living.some((id) => name.startsWith(`${id}-`)) : alone)
      fs.rmSync(file, { recursive: true, force: true });
  }
}

/** Made to find out what the file system can do. */
const UNOWNED_LAYER = /^probe-/;

/** Whether no other engine runs on this state directory. */
export function isAlone(dirs: StateDirs, owner: string): boolean {
  return fs.readdirSync(dirs.owners).every((id) => id === owner || !ownerIsAlive(dirs.owners, id));
}
