import fs from "node:fs";
import type { AbortOptions, Digest } from "../base/index.js";
import { type LayerId, ownerIsAlive } from "../snapshot/index.js";
import { imageContents } from "./image-contents.js";
import type { PruneEngine } from "./prune.js";
import { isAlone } from "./sweep.js";

/** Removes layers and blobs that no record, image or running build needs; their bytes as they are known. */
export async function removeUnused(engine: PruneEngine, options: AbortOptions): Promise<number> {
  const roots = [...engine.images.list(), ...engine.references.list()].map(({ target }) => target);
  const contents = await imageContents(roots, engine.store);
  const layerBytes = await pruneLayers(engine, contents.chains);
  return layerBytes + (await pruneBlobs(engine, contents.blobs, options));
}

/** Layers that owners who still run have leased. */
export function leasedLayers({ database, dirs }: Pick<PruneEngine, "database" | "dirs">): Set<number> {
  const leases = database.all<{ owner: string; target: string }>(
    "SELECT owner, target FROM lease WHERE kind = 'layer'",
  );
  return new Set(leases.filter(({ owner }) => ownerIsAlive(dirs.owners, owner)).map(({ target }) => Number(target)));
}

async function pruneLayers(engine: PruneEngine, imageChains: ReadonlySet<Digest>): Promise<number> {
  const { database, plane } = engine;
  const doomed = await database.transaction(() => {
    const leased = leasedLayers(engine);
    const rows = database.all<{
      id: number;
      chain_id: Digest | null;
      owner: string | null;
      size_bytes: number;
      state: string;
    }>(
      `SELECT id, chain_id, owner, size_bytes, state FROM layer
       WHERE id NOT IN (SELECT layer FROM record_layer) AND id NOT IN (SELECT layer FROM cache_mount)`,
    );
    const unused = rows.filter(
      ({ id, chain_id, owner, state }) =>
        !leased.has(id) && !(chain_id && imageChains.has(chain_id)) && !(owner && isNeededBy(owner, state, engine)),
    );
    for (const { id } of unused) database.run("DELETE FROM layer WHERE id = ?", id);
    return unused;
  });
  await plane.run("removeLayers", { layers: doomed.map(({ id }) => id) });
  return doomed.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}

/** Whether OWNER may need what it has made though no record says so, or is about to remove it. */
function isNeededBy(owner: string, state: string, { owner: self, dirs, isBusy = () => false }: PruneEngine): boolean {
  return owner === self ? state === "active" || isBusy() : ownerIsAlive(dirs.owners, owner);
}

/** Directories of layers that the database knows nothing of: left by a crash between the two. */
export function strayLayers({ database, dirs }: PruneEngine): LayerId[] {
  // A layer has its row before it has its directory.
  const found = fs.readdirSync(dirs.layers).filter((name) => /^\d+$/.test(name));
  const known = new Set(database.all<{ id: number }>("SELECT id FROM layer").map(({ id }) => id));
  return found.map(Number).filter((id) => !known.has(id));
}

/** While other work is under way, younger blobs may be of an image that has no name yet. Milliseconds. */
const BLOB_GRACE_MS = 10 * 60_000;

async function pruneBlobs(
  { store, database, dirs, owner, clock, isBusy = () => false }: PruneEngine,
  used: ReadonlySet<Digest>,
  options: AbortOptions,
): Promise<number> {
  const kept = new Set(used);
  const layerBlobs = database.all<{ descriptor: string }>("SELECT descriptor FROM layer_blob");
  for (const { descriptor } of layerBlobs)
    kept.add((JSON.parse(descriptor) as { descriptor: { digest: Digest } }).descriptor.digest);
  for (const { blob } of database.all<{ blob: string | null }>("SELECT blob FROM layer WHERE blob IS NOT NULL")) {
    if (blob) kept.add((JSON.parse(blob) as { digest: Digest }).digest);
  }
  const alone = isAlone(dirs, owner) && !isBusy();
  const youngFrom = alone ? Number.POSITIVE_INFINITY : clock.now() - BLOB_GRACE_MS;
  let freed = 0;
  for await (const { digest, sizeBytes, createdAt } of store.walk(options)) {
    if (kept.has(digest) || createdAt >= youngFrom) continue;
    await store.delete(digest, options);
    freed += sizeBytes;
  }
  return freed;
}
