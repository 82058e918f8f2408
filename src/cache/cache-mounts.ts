import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type AbortOptions,
  type Clock,
  canonicalJson,
  type Digest,
  digestOf,
  EngineError,
  hexOf,
  tryLock,
} from "../base/index.js";
import {
  type DataPlane,
  isAsItWas,
  type LayerId,
  type LayerStore,
  type StateDirs,
  type Workspace,
} from "../snapshot/index.js";
import type { Database, Migration } from "../store/index.js";

/**
 * A cache mount is a layer directory that is never committed; `slot` tells private ones of the same key apart, `description` is its id.
 * The layer's size is that of `measured_at`; `selector` is what of it was mounted last.
 */
export const cacheMountMigrations: readonly Migration[] = [
  {
    id: "cache-mount-1",
    sql: `CREATE TABLE cache_mount (
     key TEXT NOT NULL,
     slot INTEGER NOT NULL,
     layer INTEGER NOT NULL,
     description TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     used_at INTEGER NOT NULL,
     PRIMARY KEY (key, slot)
   ) STRICT, WITHOUT ROWID`,
  },
  { id: "cache-mount-2", sql: "ALTER TABLE cache_mount ADD COLUMN measured_at INTEGER NOT NULL DEFAULT 0" },
  { id: "cache-mount-3", sql: "ALTER TABLE cache_mount ADD COLUMN selector TEXT NOT NULL DEFAULT ''" },
];

/** What a cache mount is known by: its id, and the digest of what it starts from if that is not nothing. */
export function cacheMountKey(id: string, start: Digest | undefined): Digest {
  return digestOf(canonicalJson({ id, start }));
}

/** What a cache mount is called in a Dockerfile: its id without the blank name space before it, in the letters that it is written in. */
export function shownCacheMountId(id: string): string {
  return asWritten(id.replace(/^\/(?=.)/, ""));
}

/** A word of a flag as it stands in the Dockerfile: flags are read byte by byte, each for a letter of its own. */
function asWritten(word: string): string {
  if (!/^[\0-\xff]*$/.test(word)) return word;
  const text = Buffer.from(word, "latin1").toString("utf8");
  return text.includes("\ufffd") ? word : text;
}

/** Under this key is kept what was brought in for an id that no step has used yet: the first one that does gets it. */
export function importedMountKey(id: string): Digest {
  return cacheMountKey(shownCacheMountId(id), digestOf("imported"));
}

export type CacheSharing = "shared" | "private" | "locked";

export interface CacheMountRequest {
  /** Its id together with what it starts from. */
  readonly key: Digest;
  readonly sharing: CacheSharing;
  readonly description: string;
  /** What of the directory is mounted: a path in it, or nothing for all. */
  readonly selector: string;
  /** Puts what the mount starts with into a new, empty directory. */
  readonly fill: (workspace: Workspace) => Promise<void>;
}

/** A cache mount's directory, locked as its sharing says until it is disposed of. */
export interface CacheMount extends Disposable {
  readonly directory: string;
}

/** A cache mount's directory on this disk. */
export interface StoredCacheMount {
  readonly key: Digest;
  readonly slot: number;
  /** As the Dockerfile says it. */
  readonly id: string;
  readonly layer: LayerId;
  /** What of it was mounted last: the files that people know it by. */
  readonly selector: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly usedAt: number;
  /** Its size when it was measured last; undefined if it has been used since. */
  readonly sizeBytes: number | undefined;
}

export type CacheMountName = Pick<StoredCacheMount, "key" | "slot">;

export interface CacheMounts {
  acquire(request: CacheMountRequest, options?: AbortOptions): Promise<CacheMount>;
  /** All of them, by id. */
  list(): readonly StoredCacheMount[];
  /** Whether a step, of any process, holds it now. */
  isInUse(mount: CacheMountName): boolean;
  /** Keeps it from being used until the lock is disposed of; undefined while a step holds it. */
  lock(mount: CacheMountName): Disposable | undefined;
  /** Notes the size that a mount had when nobody held it. */
  noteSize(mount: StoredCacheMount, sizeBytes: number): Promise<void>;
  /** Removes it with its files; false if a step holds it. */
  remove(mount: CacheMountName): Promise<boolean>;
  /** Keeps the workspace's layer for the first step that uses ID; what was kept so before is removed. */
  keepImported(id: string, workspace: Workspace): Promise<void>;
}

/** Pause between tries for a lock that another step holds. */
const LOCK_POLL_MS = 50;
/** Directories that one private cache mount may have at once. */
const SLOTS_MAX = 1000;

export interface CacheMountOptions {
  readonly database: Database;
  readonly layers: LayerStore;
  readonly plane: DataPlane;
  readonly dirs: StateDirs;
  readonly clock: Clock;
}

export function createCacheMounts(options: CacheMountOptions): CacheMounts {
  return {
    async acquire(request, abort = {}) {
      const exclusive = request.sharing !== "shared";
      for (let slot = 0; slot < SLOTS_MAX; ) {
        const taken = await tryAcquire({ request, slot, exclusive, options });
        if (taken) return taken;
        if (request.sharing === "private") slot++;
        else await delay(LOCK_POLL_MS, undefined, abort.signal ? { signal: abort.signal } : {});
      }
      throw new EngineError("unavailable", `more than ${SLOTS_MAX} private directories of one cache mount`);
    },
    list: () =>
      options.database
        .all<MountRow>(
          `SELECT key, slot, description, layer, selector, cache_mount.created_at, used_at, measured_at, size_bytes
           FROM cache_mount JOIN layer ON layer.id = layer ORDER BY description, key, slot`,
        )
        .map(stored),
    isInUse(mount) {
      const lock = lockNow(options, mount);
      lock?.[Symbol.dispose]();
      return lock === undefined;
    },
    lock: (mount) => lockNow(options, mount),
    noteSize: (mount, sizeBytes) => noteSize(options, mount, sizeBytes),
    remove: (mount) => remove(options, mount),
    keepImported: (id, workspace) => keepImported(options, id, workspace),
  };
}

type MountRow = {
  readonly key: Digest;
  readonly slot: number;
  readonly description: string;
  readonly layer: number;
  readonly selector: string;
  readonly created_at: number;
  readonly used_at: number;
  readonly measured_at: number;
  readonly size_bytes: number;
};

function stored(row: MountRow): StoredCacheMount {
  const { key, slot, description: id, layer, selector, created_at, used_at, measured_at, size_bytes } = row;
  const sizeBytes = measured_at > used_at ? size_bytes : undefined;
  return { key, slot, id, layer, selector, createdAt: created_at, usedAt: used_at, sizeBytes };
}

async function noteSize(
  { database, clock }: CacheMountOptions,
  { key, slot, layer }: StoredCacheMount,
  sizeBytes: number,
): Promise<void> {
  await database.transaction(() => {
    database.run("UPDATE layer SET size_bytes = ? WHERE id = ?", sizeBytes, layer);
    database.run("UPDATE cache_mount SET measured_at = ? WHERE key = ? AND slot = ?", clock.now(), key, slot);
  });
}

async function remove(options: CacheMountOptions, { key, slot }: CacheMountName): Promise<boolean> {
  using lock = lockNow(options, { key, slot });
  if (!lock) return false;
  const { database, layers } = options;
  const layer = find(database, key, slot);
  await database.transaction(() => database.run("DELETE FROM cache_mount WHERE key = ? AND slot = ?", key, slot));
  if (layer !== undefined) await layers.remove([layer]);
  fs.rmSync(lockFile(options, key, slot), { force: true });
  return true;
}

async function keepImported(options: CacheMountOptions, id: string, workspace: Workspace): Promise<void> {
  const name = { key: importedMountKey(id), slot: 0 };
  using lock = lockNow(options, name);
  if (!lock) throw new EngineError("unavailable", `the cache mount ${shownCacheMountId(id)} is in use`);
  const before = find(options.database, name.key, name.slot);
  await insert(options, { ...name, id }, workspace.layer);
  if (before !== undefined) await options.layers.remove([before]);
}

/** Moves what was brought in for an id into what its first user mounts of the new directory. */
async function takeImported(
  options: CacheMountOptions,
  { description: id, selector }: Pick<CacheMountRequest, "description" | "selector">,
  workspace: Workspace,
): Promise<void> {
  const name = { key: importedMountKey(id), slot: 0 };
  const layer = findHere(options, name.key, name.slot);
  if (layer === undefined) return;
  {
    using lock = lockNow(options, name);
    if (!lock || find(options.database, name.key, name.slot) !== layer) return;
    if (!(await options.plane.run("refillLayer", { from: layer, to: workspace.layer, selector }))) return;
  }
  await remove(options, name);
}

/** The exclusive lock of a slot; undefined while somebody has it. */
function lockNow(options: CacheMountOptions, { key, slot }: CacheMountName): Disposable | undefined {
  const file = lockFile(options, key, slot);
  for (;;) {
    const fd = fs.openSync(file, "a");
    const isTaken = !tryLock(fd, "exclusive");
    if (!isTaken && isStill(fd, file)) return { [Symbol.dispose]: () => fs.closeSync(fd) };
    fs.closeSync(fd);
    if (isTaken) return undefined;
  }
}

/** Whether FD is of the file of that name: a lock on one that was removed meanwhile locks nobody out. */
function isStill(fd: number, file: string): boolean {
  return fs.fstatSync(fd).ino === fs.statSync(file, { throwIfNoEntry: false })?.ino;
}

function lockFile({ dirs }: CacheMountOptions, key: Digest, slot: number): string {
  return path.join(dirs.cacheMounts, `${hexOf(key)}-${slot}.lock`);
}

interface Attempt {
  readonly request: CacheMountRequest;
  readonly slot: number;
  readonly exclusive: boolean;
  readonly options: CacheMountOptions;
}

/** Takes the lock of a slot and its directory, which is made under an exclusive lock where it is missing. */
async function tryAcquire({ request, slot, exclusive, options }: Attempt): Promise<CacheMount | undefined> {
  const file = lockFile(options, request.key, slot);
  const fd = fs.openSync(file, "a");
  try {
    const known = findHere(options, request.key, slot);
    if (!tryLock(fd, exclusive || known === undefined ? "exclusive" : "shared")) {
      fs.closeSync(fd);
      return undefined;
    }
    if (!isStill(fd, file)) {
      fs.closeSync(fd);
      return tryAcquire({ request, slot, exclusive, options });
    }
    const layer = findHere(options, request.key, slot) ?? (await make({ request, slot, exclusive, options }));
    // Changing the kind of a lock gives it up for a moment.
    if (!exclusive && !(tryLock(fd, "shared") && isStill(fd, file))) {
      fs.closeSync(fd);
      return undefined;
    }
    await options.database.transaction(() =>
      options.database.run(
        "UPDATE cache_mount SET used_at = ?, selector = ? WHERE key = ? AND slot = ?",
        options.clock.now(),
        request.selector,
        request.key,
        slot,
      ),
    );
    return { directory: path.join(options.dirs.layers, String(layer), "fs"), [Symbol.dispose]: () => fs.closeSync(fd) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function find(database: Database, key: Digest, slot: number): LayerId | undefined {
  return database.get<{ layer: number }>("SELECT layer FROM cache_mount WHERE key = ? AND slot = ?", key, slot)?.layer;
}

/** The layer of a slot, unless its files are gone. */
function findHere({ database, dirs }: CacheMountOptions, key: Digest, slot: number): LayerId | undefined {
  const layer = find(database, key, slot);
  return layer !== undefined && isAsItWas(dirs, { id: layer, stamp: null }) ? layer : undefined;
}

async function make({ request, slot, options }: Attempt): Promise<LayerId> {
  const { layers } = options;
  const workspace = await layers.create([]);
  try {
    await request.fill(workspace);
    if (slot === 0) await takeImported(options, request, workspace);
    await insert(options, { key: request.key, slot, id: request.description }, workspace.layer);
    return workspace.layer;
  } catch (error) {
    await layers.abandon(workspace);
    throw error;
  }
}

async function insert(
  { database, clock }: CacheMountOptions,
  { key, slot, id }: CacheMountName & { readonly id: string },
  layer: LayerId,
): Promise<void> {
  await database.transaction(() => {
    const now = clock.now();
    database.run("UPDATE layer SET state = 'ready' WHERE id = ?", layer);
    database.run(
      "INSERT OR REPLACE INTO cache_mount (key, slot, layer, description, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?)",
      ...[key, slot, layer, id, now, now],
    );
  });
}
