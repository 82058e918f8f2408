import fs from "node:fs";
import { type AbortOptions, EngineError } from "../base/index.js";
import {
  type CachePolicy,
  type DiskSpace,
  pruneRecords,
  type StoredCacheMount,
  targetBytes,
  type UsageEntry,
} from "../cache/index.js";
import { ownerIsAlive } from "../snapshot/index.js";
import { removeStrays, removeUnused } from "./garbage.js";
import { type Inventory, type StoredItem, takeInventory } from "./inventory.js";
import type { PruneEngine } from "./prune.js";
import type { Unit } from "./stored-units.js";
import { isAlone } from "./sweep.js";

/** What is to go, and what of the disk is free without it. */
export interface Choice {
  readonly items: readonly StoredItem[];
  /** What their removal frees. */
  readonly bytes: number;
}

export interface ChoiceOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly disk: DiskSpace;
  /** Only these. */
  readonly only?: (item: StoredItem) => boolean;
}

/** The disk that the state directory is on. */
export function diskOf({ dirs }: Pick<PruneEngine, "dirs">): DiskSpace {
  const { blocks, bavail, bsize } = fs.statfsSync(dirs.root);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
}

/**
 * What POLICY removes of INVENTORY: the longest unused first, and of what was used at once that which stands on the rest; as much as it
 * takes where it is a matter of size, and then nothing whose removal frees nothing. What is in use, and images with names, never are
 * among it.
 */
export function chooseBy(
  inventory: Inventory,
  policy: CachePolicy,
  { now, disk, only = () => true }: ChoiceOptions,
): Choice {
  const target = targetBytes(policy, inventory.totalBytes, disk);
  const candidates = inventory.items
    .filter((item) => isRemovable(item.thing) && only(item) && isMeant(item.entry, policy, now))
    .sort((a, b) => a.entry.lastUsedAt - b.entry.lastUsedAt || b.units.length - a.units.length);
  const account = new Account(inventory);
  if (target === undefined) return account.choose(candidates);
  return account.choose(candidates, inventory.totalBytes - target);
}

/**
 * When the next thing will have been unused for so long that one of POLICIES wants it gone where there is too much: what is older is not
 * looked at again where it has just been tried. At once where there was not too much, and such a thing is there. Milliseconds since the epoch.
 */
export function ripeAt(inventory: Inventory, policies: readonly CachePolicy[], { now, disk }: ChoiceOptions): number {
  const aged = policies.filter(({ keepDurationMs }) => keepDurationMs > 0);
  const ripening = aged.flatMap((policy) => {
    const target = targetBytes(policy, inventory.totalBytes, disk);
    const isTried = target !== undefined && target < inventory.totalBytes;
    const meant = inventory.items.filter(
      (item) => isRemovable(item.thing) && isMeant(item.entry, { ...policy, keepDurationMs: 0 }, now),
    );
    const times = meant.map(({ entry }) => entry.lastUsedAt + policy.keepDurationMs);
    return [now + policy.keepDurationMs, ...times.filter((at) => !isTried || at > now)];
  });
  return ripening.reduce((first, at) => Math.min(first, at), Number.POSITIVE_INFINITY);
}

/** Whether somebody could remove it, or it goes with something else or never. */
export function isRemovable({ kind }: StoredItem["thing"]): boolean {
  return kind !== "unit" && kind !== "fixed";
}

function isMeant(entry: UsageEntry, { all, filters, keepDurationMs }: CachePolicy, now: number): boolean {
  if (entry.inUse || (entry.shared && !all)) return false;
  if (keepDurationMs > 0 && entry.lastUsedAt > now - keepDurationMs) return false;
  return filters.length === 0 || filters.some((holds) => holds(entry));
}

/** Reckons what is freed when things go. */
class Account {
  readonly #inventory: Inventory;
  /** How many things need a layer or blob. */
  readonly #needs = new Map<Unit, number>();

  constructor(inventory: Inventory) {
    this.#inventory = inventory;
    for (const { thing, units } of inventory.items)
      if (thing.kind !== "unit") for (const unit of units) this.#needs.set(unit, (this.#needs.get(unit) ?? 0) + 1);
  }

  /** As many of CANDIDATES, in their order, as free BYTES; all of them if it isn't said how many. */
  choose(candidates: readonly StoredItem[], bytes?: number): Choice {
    let freed = this.#garbage();
    const items: StoredItem[] = [];
    for (const item of candidates) {
      if (bytes !== undefined && freed >= bytes) break;
      items.push(item);
      freed += this.#remove(item);
    }
    return { items: bytes === undefined ? items : items.filter((item) => this.#frees(item)), bytes: freed };
  }

  /** Whether there would be more if ITEM, one of those that go, were left. */
  #frees({ entry, units }: StoredItem): boolean {
    if (units.length === 0) return entry.sizeBytes > 0;
    return units.some((unit) => !this.#isNeeded(unit) && (this.#inventory.sizes.get(unit) ?? 0) > 0);
  }

  /** What nothing needs goes with whatever is removed. */
  #garbage(): number {
    const { items } = this.#inventory;
    const unneeded = items.filter(
      ({ thing, units }) => thing.kind === "unit" && !units.some((unit) => this.#isNeeded(unit)),
    );
    return unneeded.reduce((sum, { entry }) => sum + entry.sizeBytes, 0);
  }

  #isNeeded(unit: Unit): boolean {
    return (this.#needs.get(unit) ?? 0) > 0 || this.#inventory.pinned.has(unit);
  }

  #remove({ entry, units }: StoredItem): number {
    if (units.length === 0) return entry.sizeBytes;
    let freed = 0;
    for (const unit of units) {
      this.#needs.set(unit, (this.#needs.get(unit) ?? 0) - 1);
      if (!this.#isNeeded(unit)) freed += this.#inventory.sizes.get(unit) ?? 0;
    }
    return freed;
  }
}

/** Removes ITEMS, as far as no build has begun to use them, and whatever nothing needs then. How many records went. */
export async function removeItems(
  engine: PruneEngine,
  items: readonly StoredItem[],
  options: AbortOptions,
): Promise<number> {
  const records = await removeRecords(engine, items, options);
  for (const { thing, entry } of items) {
    options.signal?.throwIfAborted();
    switch (thing.kind) {
      case "reference":
        await engine.references.remove(thing.name, options);
        break;
      case "image":
        if (thing.entry.name === undefined) await engine.images.removeNameless(thing.entry.target.digest, options);
        break;
      case "mount":
        await removeMount(engine, thing.mount);
        break;
      case "git":
        engine.gitSource.remove(thing.id);
        break;
      case "file":
        removeFile(engine, thing.file, entry);
        break;
      case "record":
        break;
      case "unit":
      case "fixed":
        throw new EngineError("internal", `${entry.id} can't be removed by itself`);
    }
  }
  await removeUnused(engine, options);
  await removeStrays(engine);
  return records;
}

async function removeRecords(
  { database, dirs, clock }: PruneEngine,
  items: readonly StoredItem[],
  options: AbortOptions,
): Promise<number> {
  const only = items.flatMap(({ thing }) => (thing.kind === "record" ? [thing.id] : []));
  if (only.length === 0) return 0;
  const isAlive = (owner: string) => ownerIsAlive(dirs.owners, owner);
  return pruneRecords(database, isAlive, { ...options, at: clock.now(), only });
}

async function removeMount({ cacheMounts }: PruneEngine, mount: StoredCacheMount): Promise<void> {
  const current = cacheMounts.list().find(({ key, slot }) => key === mount.key && slot === mount.slot);
  if (current?.usedAt === mount.usedAt) await cacheMounts.remove(mount);
}

/** Another engine may still be writing to what was written to lately. Milliseconds. */
const FILE_GRACE_MS = 10 * 60_000;

function removeFile(
  { dirs, owner, clock, isBusy = () => false }: PruneEngine,
  file: string,
  { lastUsedAt }: UsageEntry,
): void {
  const isOld = clock.now() - lastUsedAt > FILE_GRACE_MS;
  if (isOld || (isAlone(dirs, owner) && !isBusy())) fs.rmSync(file, { force: true });
}

/**
 * Holds the state directory to POLICIES, one after the other. ENGINE says whether builds are under way. What was removed, the bytes that
 * freed, and what is left.
 */
export async function collect(
  engine: PruneEngine,
  policies: readonly CachePolicy[],
  options: AbortOptions = {},
): Promise<{ readonly entries: readonly UsageEntry[]; readonly freedBytes: number; readonly left: Inventory }> {
  const entries: UsageEntry[] = [];
  const before = await takeInventory(engine, options);
  let inventory = before;
  for (const policy of policies) {
    const { items } = chooseBy(inventory, policy, { now: engine.clock.now(), disk: diskOf(engine) });
    const isOver =
      (targetBytes(policy, inventory.totalBytes, diskOf(engine)) ?? inventory.totalBytes) < inventory.totalBytes;
    if (items.length === 0 && !isOver) continue;
    await removeItems(engine, items, options);
    entries.push(...items.map(({ entry }) => entry));
    inventory = await takeInventory(engine, options);
  }
  return {
    entries,
    freedBytes: Math.max(before.totalBytes - inventory.totalBytes, 0),
    left: inventory,
  };
}
