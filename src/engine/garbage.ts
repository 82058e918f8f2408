import fs from "node:fs";
import type { AbortOptions, Digest } from "../base/index.js";
import type { Descriptor } from "../oci/index.js";
import { type LayerId, ownerIsAlive } from "../snapshot/index.js";
import type { ContentInfo } from "../store/index.js";
import { type ImageContents, imageContents } from "./image-contents.js";
import type { PruneEngine } from "./prune.js";
import { isAlone } from "./sweep.js";

/** Removes layers and blobs that no record, image or running build needs; their bytes as they are known. */
export async function removeUnused(engine: PruneEngine, options: AbortOptions): Promise<number> {
  // Who had made blobs before they were seen, and is gone when it is asked who is there, has named by then what is to be kept.
  const seen: ContentInfo[] = [];
  for await (const blob of engine.store.walk(options)) seen.push(blob);
  const grace = graceOf(engine);
  const { layers, images } = await forgetLayers(engine, options);
  await engine.plane.run("removeLayers", { layers: layers.map(({ id }) => id) });
  const bytes = layers.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  return bytes + (await removeBlobs(engine, { seen, grace, named: images.blobs }, options));
}

/** Removes the documents of IMAGES that nothing else has. Where that can't be told for sure, a prune does it one day. Never rejects. */
export async function removeDocuments(engine: PruneEngine, images: readonly Descriptor[]): Promise<void> {
  const { store, dirs, owner } = engine;
  if (!isAlone(dirs, owner)) return;
  try {
    const [gone, kept] = await Promise.all([imageContents(images, store), imageContents(rootsOf(engine), store)]);
    const known = await Promise.all([...gone.blobs].map((digest) => store.info(digest)));
    const seen = known.filter((info) => info !== undefined);
    await removeBlobs(engine, { seen, grace: 0, named: kept.blobs }, {});
  } catch {
    // It was only garbage.
  }
}

/** Takes unused layers out of the database, together with what images name at that moment. */
async function forgetLayers(
  engine: PruneEngine,
  options: AbortOptions,
): Promise<{ readonly layers: readonly UnusedLayer[]; readonly images: ImageContents }> {
  const { database, store } = engine;
  for (;;) {
    const roots = rootsOf(engine);
    const images = await imageContents(roots, store);
    const layers = await database.transaction(
      () => (sameRoots(roots, rootsOf(engine)) ? deleteUnused(engine, images.chains) : undefined),
      options,
    );
    if (layers) return { layers, images };
  }
}

function rootsOf({ images, references }: PruneEngine): readonly Descriptor[] {
  return [...images.list(), ...references.list()].map(({ target }) => target);
}

function sameRoots(some: readonly Descriptor[], others: readonly Descriptor[]): boolean {
  const digests = new Set(some.map(({ digest }) => digest));
  return others.every(({ digest }) => digests.has(digest));
}

/** Layers that owners who still run have leased. */
export function leasedLayers({ database, dirs }: Pick<PruneEngine, "database" | "dirs">): Set<number> {
  const leases = database.all<{ owner: string; target: string }>(
    "SELECT owner, target FROM lease WHERE kind = 'layer'",
  );
  return new Set(leases.filter(({ owner }) => ownerIsAlive(dirs.owners, owner)).map(({ target }) => Number(target)));
}

interface UnusedLayer {
  readonly id: number;
  readonly size_bytes: number;
}

function deleteUnused(engine: PruneEngine, imageChains: ReadonlySet<Digest>): readonly UnusedLayer[] {
  const { database } = engine;
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
}

/** Whether OWNER may need what it has made though no record says so, or is about to remove it. */
function isNeededBy(owner: string, state: string, { owner: self, dirs, isBusy = () => false }: PruneEngine): boolean {
  return owner === self ? state === "active" || isBusy() : ownerIsAlive(dirs.owners, owner);
}

/** Directories of layers that the database knows nothing of: left by a crash between the two, or by one that is lost. */
export function strayLayers({ database, dirs }: Pick<PruneEngine, "database" | "dirs">): LayerId[] {
  // A layer has its row before it has its directory.
  const found = fs.readdirSync(dirs.layers).filter((name) => /^[1-9]\d{0,14}$/.test(name));
  const known = new Set(database.all<{ id: number }>("SELECT id FROM layer").map(({ id }) => id));
  return found.map(Number).filter((id) => !known.has(id));
}

/** Removes them, but not while somebody else runs: they may be theirs, who may have opened the database that is lost. */
export async function removeStrays(engine: PruneEngine): Promise<void> {
  const layers = strayLayers(engine);
  if (layers.length > 0 && isAlone(engine.dirs, engine.owner)) await engine.plane.run("removeLayers", { layers });
}

/** While other work is under way, younger blobs may be of an image that has no name yet. Milliseconds. */
const BLOB_GRACE_MS = 10 * 60_000;

/** How long a blob is left alone that nothing names. Milliseconds. */
function graceOf({ dirs, owner, isBusy = () => false }: PruneEngine): number {
  return isAlone(dirs, owner) && !isBusy() ? 0 : BLOB_GRACE_MS;
}

interface UnusedBlobs {
  readonly seen: readonly ContentInfo[];
  readonly grace: number;
  /** By images. */
  readonly named: ReadonlySet<Digest>;
}

async function removeBlobs(
  engine: PruneEngine,
  { seen, grace, named }: UnusedBlobs,
  options: AbortOptions,
): Promise<number> {
  const { store, database, clock } = engine;
  const kept = new Set(named);
  const layerBlobs = database.all<{ descriptor: string }>("SELECT descriptor FROM layer_blob");
  for (const { descriptor } of layerBlobs)
    kept.add((JSON.parse(descriptor) as { descriptor: { digest: Digest } }).descriptor.digest);
  for (const { blob } of database.all<{ blob: string | null }>("SELECT blob FROM layer WHERE blob IS NOT NULL")) {
    if (blob) kept.add((JSON.parse(blob) as { digest: Digest }).digest);
  }
  let freed = 0;
  for (const { digest, sizeBytes } of seen) {
    if (kept.has(digest)) continue;
    // Somebody who has come meanwhile may use what was here before, and says so by its time.
    const wait = Math.max(grace, graceOf(engine));
    const createdAt = wait > 0 ? (await store.info(digest, options))?.createdAt : undefined;
    if (createdAt !== undefined && clock.now() - createdAt < wait) continue;
    await store.delete(digest, options);
    freed += sizeBytes;
  }
  return freed;
}
