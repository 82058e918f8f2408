import type { CachePolicy } from "../cache/index.js";
import { formatBytes } from "../progress/index.js";
import { isRemovable } from "./collection.js";
import type { Inventory, StoredItem } from "./inventory.js";
import type { Unit } from "./stored-units.js";

/** Who needs how much of what is left, where POLICY could not be kept. */
export function shares(inventory: Inventory, { filters }: CachePolicy): string {
  const { items, totalBytes } = inventory;
  const sum = (holds: (item: StoredItem) => boolean) =>
    items.reduce((bytes, item) => bytes + (holds(item) ? item.entry.sizeBytes : 0), 0);
  const isImage = ({ entry }: StoredItem) => (entry.type === "image" && entry.inUse) || entry.shared;
  const isNeeded = (item: StoredItem) => isImage(item) || item.entry.inUse;
  const images = sum((item) => isImage(item));
  const builds = sum((item) => !isImage(item) && item.entry.inUse && item.thing.kind !== "fixed");
  const isLeftOut = (item: StoredItem) =>
    isRemovable(item.thing) && !isNeeded(item) && filters.length > 0 && !filters.some((holds) => holds(item.entry));
  const room = new Room(inventory, items.filter(isNeeded));
  const unnamed = room.take(items.filter((item) => item.thing.kind === "image" && isLeftOut(item)));
  const leftOut = room.take(items.filter(isLeftOut));
  const parts = [
    [builds, "running builds need"],
    [images, "belong to images with names"],
    [unnamed, "belong to images without a name, which the policy's filters leave out"],
    [leftOut, "the policy's filters leave out"],
    [totalBytes - builds - images - unnamed - leftOut, "are the engine's own, or may be needed soon"],
  ] as const;
  return parts.flatMap(([bytes, what]) => (bytes > 0 ? [`${formatBytes(bytes)} ${what}`] : [])).join(", ");
}

/** Reckons each layer and blob to the first that needs it. */
class Room {
  readonly #inventory: Inventory;
  readonly #taken = new Set<StoredItem | Unit>();

  /** What NEEDED need is nobody else's. */
  constructor(inventory: Inventory, needed: readonly StoredItem[]) {
    this.#inventory = inventory;
    this.take(needed);
    for (const unit of inventory.pinned) this.#taken.add(unit);
  }

  /** The bytes that ITEMS need and that were not taken yet. */
  take(items: readonly StoredItem[]): number {
    let bytes = 0;
    for (const item of items) {
      if (item.units.length === 0) bytes += this.#once(item, item.entry.sizeBytes);
      for (const unit of item.units) bytes += this.#once(unit, this.#inventory.sizes.get(unit) ?? 0);
    }
    return bytes;
  }

  #once(what: StoredItem | Unit, bytes: number): number {
    if (this.#taken.has(what)) return 0;
    this.#taken.add(what);
    return bytes;
  }
}
