import fs from "node:fs";
import path from "node:path";
import type { AbortOptions, Clock, Digest } from "../base/index.js";
import { type CacheMounts, leasedRecords, pruneRecords } from "../cache/index.js";
import { listStepLogs } from "../ops/index.js";
import { type DataPlane, type LayerId, ownerIsAlive, type StateDirs } from "../snapshot/index.js";
import type { GitSource, HttpEntities } from "../sources/index.js";
import type { ContentStore, Database, ImageStore, ReferenceStore } from "../store/index.js";
import { imageContents } from "./image-contents.js";
import type { UsageEntry } from "./request.js";
import { isAlone } from "./sweep.js";

export interface PruneEngine {
  readonly dirs: StateDirs;
  readonly database: Database;
  readonly plane: DataPlane;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly references: ReferenceStore;
  readonly cacheMounts: CacheMounts;
  readonly gitSource: GitSource;
  readonly entities: HttpEntities;
  readonly clock: Clock;
  /** This engine's own id. */
  readonly owner: string;
  /** Whether this engine is at other work, which may have made blobs that no image names yet. Default: it isn't. */
  readonly isBusy?: () => boolean;
}

/**
 * Removes what nobody needs: layers and blobs that no record and no image names, and with ALL every cache record, cache mount, pulled
 * image and fetched repository too. What a running build has leased, and images that have names here, stay; those without a name go.
 */
export async function prune(
  engine: PruneEngine,
  { all, signal }: { readonly all: boolean; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly freedBytes: number; readonly records: number }> {
  const { database, plane, store, dirs } = engine;
  const options = signal ? { signal } : {};
  let records = 0;
  for (const { name, target } of engine.images.list())
    if (name === undefined) await engine.images.removeNameless(target.digest, options);
  if (all) {
    for (const { name } of engine.references.list()) await engine.references.remove(name, options);
    records = await pruneRecords(database, (owner) => ownerIsAlive(dirs.owners, owner), {
      ...options,
      at: engine.clock.now(),
    });
    await engine.cacheMounts.clear();
    await engine.entities.clear(options);
    for (const name of fs.readdirSync(dirs.contexts))
      fs.rmSync(path.join(dirs.contexts, name), { recursive: true, force: true });
  }
  let freedBytes = all ? engine.gitSource.clear() : 0;
  freedBytes += await removeUnused(engine, options);
  freedBytes += await store.sweep({ ...options, all: isAlone(dirs, engine.owner) });
  freedBytes += pruneLogs(engine);
  await plane.run("removeLayers", { layers: strayLayers(engine) });
  return { freedBytes, records };
}

/** Removes layers and blobs that no record, image or running build needs; the bytes freed. */
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
  const { database, plane, dirs } = engine;
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
      ({ id, chain_id, owner }) =>
        !leased.has(id) && !(chain_id && imageChains.has(chain_id)) && !(owner && ownerIsAlive(dirs.owners, owner)),
    );
    for (const { id } of unused) database.run("DELETE FROM layer WHERE id = ?", id);
    return unused;
  });
  await plane.run("removeLayers", { layers: doomed.map(({ id }) => id) });
  return doomed.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}

/** Directories of layers that the database knows nothing of: left by a crash between the two. */
function strayLayers({ database, dirs, clock }: PruneEngine): LayerId[] {
  const known = new Set(database.all<{ id: number }>("SELECT id FROM layer").map(({ id }) => id));
  return fs
    .readdirSync(dirs.layers)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(
      (id) => !known.has(id) && clock.now() - fs.statSync(path.join(dirs.layers, String(id))).ctimeMs > STRAY_AGE_MS,
    );
}

/** The logs of steps, but those that another engine may still be writing. */
function pruneLogs({ dirs, owner, clock }: PruneEngine): number {
  const youngFrom = isAlone(dirs, owner) ? Number.POSITIVE_INFINITY : clock.now() - LOG_GRACE_MS;
  const old = listStepLogs(dirs.logs).filter(({ writtenAt }) => writtenAt < youngFrom);
  for (const { path: file } of old) fs.rmSync(file, { force: true });
  return old.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** While another engine runs, a log that was written to so lately may be of a running step. Milliseconds. */
const LOG_GRACE_MS = 10 * 60_000;

/** A layer's directory is made right after its row: one that is older than this and has none is nobody's. Milliseconds. */
const STRAY_AGE_MS = 60_000;

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

/** What takes room in the state directory. */
export async function diskUsage(engine: PruneEngine): Promise<readonly UsageEntry[]> {
  const { database, store } = engine;
  const inUse = leasedRecords(database, (owner) => ownerIsAlive(engine.dirs.owners, owner));
  const records = database.all<{
    id: string;
    description: string;
    created_at: number;
    used_at: number;
    size: number | null;
  }>(
    `SELECT record.id, description, record.created_at, record.used_at, (
       SELECT size_bytes FROM layer WHERE layer.id = (SELECT max(layer) FROM record_layer WHERE record = record.id)
     ) AS size FROM record`,
  );
  const entries: UsageEntry[] = records.map(({ id, description, created_at, used_at, size }) => {
    const times = { createdAt: created_at, lastUsedAt: used_at };
    return { id, type: "record", description, sizeBytes: size ?? 0, ...times, inUse: inUse.has(id) };
  });
  const images = database.all<{
    id: number;
    chain_id: string;
    origin: string | null;
    size_bytes: number;
    created_at: number;
  }>("SELECT id, chain_id, origin, size_bytes, created_at FROM layer WHERE origin IS NOT NULL AND state = 'ready'");
  for (const { id, origin, size_bytes, created_at } of images) {
    const times = { createdAt: created_at, lastUsedAt: created_at };
    entries.push({
      id: String(id),
      type: "image",
      description: (JSON.parse(origin ?? "[]") as string[])[0] ?? "",
      sizeBytes: size_bytes,
      ...times,
      inUse: false,
    });
  }
  const mounts = database.all<{ layer: number; description: string; created_at: number; used_at: number }>(
    "SELECT layer, description, created_at, used_at FROM cache_mount",
  );
  for (const { layer, description, created_at, used_at } of mounts) {
    const size = await engine.plane.run("measureLayer", { layer });
    entries.push({
      id: String(layer),
      type: "cachemount",
      description,
      sizeBytes: size.sizeBytes,
      createdAt: created_at,
      lastUsedAt: used_at,
      inUse: false,
    });
  }
  for (const { path: file, sizeBytes, writtenAt } of listStepLogs(engine.dirs.logs)) {
    const times = { createdAt: writtenAt, lastUsedAt: writtenAt };
    entries.push({ id: path.basename(file), type: "log", description: file, sizeBytes, ...times, inUse: false });
  }
  for (const { id, sizeBytes, usedAt } of engine.gitSource.list()) {
    const times = { createdAt: usedAt, lastUsedAt: usedAt };
    entries.push({ id, type: "git", description: "shared git repository", sizeBytes, ...times, inUse: false });
  }
  for await (const { digest, sizeBytes, createdAt } of store.walk()) {
    entries.push({
      id: digest,
      type: "blob",
      description: "",
      sizeBytes,
      createdAt,
      lastUsedAt: createdAt,
      inUse: false,
    });
  }
  return entries;
}
