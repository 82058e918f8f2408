import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, type Clock, type Digest, EngineError, hexOf, tryLock } from "../base/index.js";
import type { LayerId, LayerStore, StateDirs, Workspace } from "../snapshot/index.js";
import type { Database, Migration } from "../store/index.js";

/** A cache mount is a layer directory that is never committed; `slot` tells private ones of the same key apart. */
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
];

export type CacheSharing = "shared" | "private" | "locked";

export interface CacheMountRequest {
  /** Its id together with what it starts from. */
  readonly key: Digest;
  readonly sharing: CacheSharing;
  readonly description: string;
  /** Puts what the mount starts with into a new, empty directory. */
  readonly fill: (workspace: Workspace) => Promise<void>;
}

/** A cache mount's directory, locked as its sharing says until it is disposed of. */
export interface CacheMount extends Disposable {
  readonly directory: string;
}

export interface CacheMounts {
  acquire(request: CacheMountRequest, options?: AbortOptions): Promise<CacheMount>;
  /** Forgets every cache mount that no step holds; their layers are then nobody's. */
  clear(): Promise<void>;
}

/** Pause between tries for a lock that another step holds. */
const LOCK_POLL_MS = 50;
/** Directories that one private cache mount may have at once. */
const SLOTS_MAX = 1000;

export interface CacheMountOptions {
  readonly database: Database;
  readonly layers: LayerStore;
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
    async clear() {
      for (const { key, slot } of options.database.all<{ key: Digest; slot: number }>(
        "SELECT key, slot FROM cache_mount",
      )) {
        const fd = fs.openSync(lockFile(options, key, slot), "a");
        try {
          if (!tryLock(fd, "exclusive")) continue;
          await options.database.transaction(() =>
            options.database.run("DELETE FROM cache_mount WHERE key = ? AND slot = ?", key, slot),
          );
        } finally {
          fs.closeSync(fd);
        }
      }
    },
  };
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
  const fd = fs.openSync(lockFile(options, request.key, slot), "a");
  try {
    const known = find(options.database, request.key, slot);
    if (!tryLock(fd, exclusive || known === undefined ? "exclusive" : "shared")) {
      fs.closeSync(fd);
      return undefined;
    }
    const layer = find(options.database, request.key, slot) ?? (await make({ request, slot, exclusive, options }));
    if (!exclusive && !tryLock(fd, "shared")) {
      fs.closeSync(fd);
      return undefined;
    }
    await options.database.transaction(() =>
      options.database.run(
        "UPDATE cache_mount SET used_at = ? WHERE key = ? AND slot = ?",
        options.clock.now(),
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

async function make({ request, slot, options }: Attempt): Promise<LayerId> {
  const { database, layers, clock } = options;
  const workspace = await layers.create([]);
  try {
    await request.fill(workspace);
    await database.transaction(() => {
      const now = clock.now();
      database.run("UPDATE layer SET state = 'ready' WHERE id = ?", workspace.layer);
      database.run(
        "INSERT INTO cache_mount (key, slot, layer, description, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?)",
        ...[request.key, slot, workspace.layer, request.description, now, now],
      );
    });
    return workspace.layer;
  } catch (error) {
    await layers.abandon(workspace);
    throw error;
  }
}
