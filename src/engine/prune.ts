import { type AbortOptions, type Clock, errorCode } from "../base/index.js";
import {
  boundBytes,
  type CacheMounts,
  type CachePolicy,
  type SizeBound,
  type UsageEntry,
  type UsageFilter,
} from "../cache/index.js";
import type { DataPlane, LayerStore, StateDirs } from "../snapshot/index.js";
import type { GitSource, HttpEntities } from "../sources/index.js";
import type { ContentStore, Database, ImageStore, ReferenceStore } from "../store/index.js";
import { type Choice, chooseBy, diskOf, removeItems } from "./collection.js";
import { type Inventory, LOGS_ID, METADATA_ID, type StoredItem, takeInventory } from "./inventory.js";
import { forgetLost } from "./mending.js";
import { checkPrune } from "./prune-check.js";
import { bytesOnDisk } from "./room.js";
import { isAlone, sweepTemporary } from "./sweep.js";

export interface PruneEngine {
  readonly dirs: StateDirs;
  readonly database: Database;
  readonly plane: DataPlane;
  readonly layers: LayerStore;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly references: ReferenceStore;
  readonly cacheMounts: CacheMounts;
  readonly gitSource: GitSource;
  readonly entities: HttpEntities;
  readonly clock: Clock;
  /** This engine's own id. */
  readonly owner: string;
  /** Whether this engine is at other work, which may have made what no record and no image names yet. Default: it isn't. */
  readonly isBusy?: () => boolean;
}

/** What of the cache is to go. Without any condition: what nothing uses, and with `all` everything but what is in use. */
export interface PruneRequest extends AbortOptions {
  /** Also what is shared with images, and without other conditions pulled images and fetched repositories. */
  readonly all?: boolean;
  /** All of them must hold. As a text: conditions as those of a policy, `type==exec.cachemount,description~=npm`. */
  readonly filters?: readonly (UsageFilter | string)[];
  /** What was used since then is kept. Milliseconds. */
  readonly keepDurationMs?: number | undefined;
  /** Bytes, or a share of the disk: see `CachePolicy`. */
  readonly reservedBytes?: number | SizeBound | undefined;
  readonly maxUsedBytes?: number | SizeBound | undefined;
  readonly minFreeBytes?: number | SizeBound | undefined;
  /** Removes nothing, and tells what would go. */
  readonly dryRun?: boolean;
}

export interface PruneResult {
  readonly freedBytes: number;
  /** How many cached steps went. */
  readonly records: number;
  /** What went, or would. */
  readonly entries: readonly UsageEntry[];
}

/**
 * Removes what a request asks for and what nobody needs any more: layers and blobs that no record and no image names, temporary files of
 * the dead. What a running build has leased, and images that have names here, stay. Throws `invalid` for a request that can't be.
 */
export async function prune(engine: PruneEngine, request: PruneRequest): Promise<PruneResult> {
  const filters = checkPrune(request);
  const { all = false, dryRun = false, signal } = request;
  const options = signal ? { signal } : {};
  const lost = dryRun ? 0 : await forgetLost(engine, options);
  const before = await takeInventory(engine, options);
  const { items, bytes } = chosen(engine, before, request, filters);
  const entries = items.map(({ entry }) => entry);
  const isWhole = all && !isConditional(request);
  if (dryRun) {
    const freedBytes = bytes + (isWhole ? shrinkableBytes(engine) : 0);
    return { freedBytes, records: items.filter(isRecord).length, entries };
  }
  const records = lost + (await removeItems(engine, items, options));
  if (isWhole) {
    await engine.entities.clear(options);
    shrink(engine);
  }
  const alone = () => isAlone(engine.dirs, engine.owner) && engine.isBusy?.() !== true;
  await engine.store.sweep({ ...options, isAlone: alone });
  sweepTemporary(engine.dirs, engine.owner);
  const after = await takeInventory(engine, options);
  return { freedBytes: freedBetween(before, after), records, entries };
}

/** That the database has noted what went takes nothing from it. */
function freedBetween(before: Inventory, after: Inventory): number {
  const metadata = ({ items }: Inventory) =>
    items.reduce((sum, { entry }) => sum + (entry.id === METADATA_ID ? entry.sizeBytes : 0), 0);
  const rest = before.totalBytes - metadata(before) - (after.totalBytes - metadata(after));
  return Math.max(rest, 0) + Math.max(metadata(before) - metadata(after), 0);
}

/** What `shrink` would give back of the database as it is; what else goes makes that more, by the pages that only it fills. */
function shrinkableBytes({ database, dirs }: PruneEngine): number {
  const sql =
    "SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
  const used = database.get<{ bytes: number }>(sql)?.bytes ?? 0;
  // Pages that are new in the log have no room in the database yet.
  return Math.max(bytesOnDisk(dirs.database) + bytesOnDisk(`${dirs.database}-wal`) - used, 0);
}

/** Gives back what the database has no use for any more; where another process is at work on it, it stays as it is. */
function shrink({ database }: PruneEngine): void {
  try {
    database.run("VACUUM");
    database.get("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (!["unavailable", "no-space"].includes(errorCode(error))) throw error;
  }
}

/** What takes room in the state directory, each part once; what there is many of is summed under one id. */
export async function diskUsage(engine: PruneEngine): Promise<readonly UsageEntry[]> {
  const { items } = await takeInventory(engine);
  const entries = new Map<string, UsageEntry>();
  for (const { entry } of items) {
    const known = entries.get(entry.id);
    entries.set(entry.id, known ? summed(known, entry) : entry);
  }
  return [...entries.values()];
}

function summed(a: UsageEntry, b: UsageEntry): UsageEntry {
  const isImage = a.type === "image";
  return {
    ...a,
    // An image has any number of names, each of which keeps it.
    description: isImage ? `${a.description}, ${b.description}` : a.description,
    sizeBytes: a.sizeBytes + b.sizeBytes,
    createdAt: Math.min(a.createdAt, b.createdAt),
    lastUsedAt: Math.max(a.lastUsedAt, b.lastUsedAt),
    inUse: isImage ? a.inUse || b.inUse : a.inUse && b.inUse,
  };
}

function chosen(
  engine: PruneEngine,
  inventory: Inventory,
  request: PruneRequest,
  filters: readonly UsageFilter[],
): Choice {
  const { all = false, keepDurationMs = 0 } = request;
  const at = { now: engine.clock.now(), disk: diskOf(engine) };
  const inBytes = (bound: number | SizeBound | undefined) =>
    typeof bound === "object" ? boundBytes(bound, at.disk) : bound;
  const [reservedBytes, maxUsedBytes, minFreeBytes] = [
    inBytes(request.reservedBytes),
    inBytes(request.maxUsedBytes),
    inBytes(request.minFreeBytes),
  ];
  const wanted: UsageFilter = (entry) => filters.every((holds) => holds(entry));
  const policy: CachePolicy = { all, filters: [wanted], keepDurationMs, reservedBytes, maxUsedBytes, minFreeBytes };
  return chooseBy(inventory, policy, all || isConditional(request) ? at : { ...at, only: isUnused });
}

function isConditional({
  filters = [],
  keepDurationMs,
  reservedBytes,
  maxUsedBytes,
  minFreeBytes,
}: PruneRequest): boolean {
  const bounds = [keepDurationMs, reservedBytes, maxUsedBytes, minFreeBytes];
  return filters.length > 0 || bounds.some((bound) => bound !== undefined);
}

/** Images without a name, and logs: no build is the slower for it when they go. */
function isUnused({ thing, entry }: StoredItem): boolean {
  return thing.kind === "image" || entry.id === LOGS_ID;
}

function isRecord({ thing }: StoredItem): boolean {
  return thing.kind === "record";
}
