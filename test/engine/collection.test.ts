import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CachePolicy, UsageEntry } from "../../src/cache/index.js";
import { chooseBy } from "../../src/engine/collection.js";
import type { Inventory, StoredItem } from "../../src/engine/inventory.js";

const disk = { totalBytes: 1e6, freeBytes: 1e6 };
const all: CachePolicy = { all: true, filters: [], keepDurationMs: 0 };

/** A cache of records: each is made of layers by number, used at a time, in use or not; every layer takes 2 to the power of its number. */
function inventoryOf(records: readonly { layers: readonly number[]; usedAt: number; inUse: boolean }[]): Inventory {
  const sizes = new Map<number, number>();
  for (const layer of records.flatMap(({ layers }) => layers)) sizes.set(layer, 2 ** layer);
  const items = records.map(({ layers, usedAt, inUse }, i): StoredItem => {
    const entry: UsageEntry = {
      id: `r${i}`,
      type: "regular",
      description: "",
      sizeBytes: 0,
      createdAt: 0,
      lastUsedAt: usedAt,
      inUse,
      shared: false,
      mutable: false,
      parents: [],
    };
    return { entry, thing: { kind: "record", id: `r${i}` }, units: [...new Set(layers)] };
  });
  return { items, sizes, pinned: new Set(), totalBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}

const caches = fc.array(
  fc.record({ layers: fc.array(fc.nat(9), { maxLength: 4 }), usedAt: fc.nat(99), inUse: fc.boolean() }),
  { maxLength: 12 },
);

/** What the layers of ITEMS take. */
function bytesOf(items: readonly StoredItem[], { sizes }: Inventory): number {
  return [...new Set(items.flatMap(({ units }) => units))].reduce<number>(
    (sum, unit) => sum + (sizes.get(unit) ?? 0),
    0,
  );
}

describe("what a policy removes", () => {
  it("is reckoned as what nothing that is left needs", () => {
    fc.assert(
      fc.property(caches, (records) => {
        const inventory = inventoryOf(records);
        const { items, bytes } = chooseBy(inventory, all, { now: 100, disk });
        const left = inventory.items.filter((item) => !items.includes(item));
        expect(left.every(({ entry }) => entry.inUse)).toBe(true);
        expect(bytes).toBe(inventory.totalBytes - bytesOf(left, inventory));
      }),
    );
  });

  it("is the longest unused, no more than it takes, and never what is in use", () => {
    fc.assert(
      fc.property(caches, fc.nat(1100), (records, maxUsedBytes) => {
        const inventory = inventoryOf(records);
        const { items } = chooseBy(inventory, { ...all, maxUsedBytes }, { now: 100, disk });
        const left = inventory.items.filter((item) => !items.includes(item));
        const free = left.filter(({ entry }) => !entry.inUse);
        const lastGone = items.at(-1);
        const least = bytesOf(
          left.filter(({ entry }) => entry.inUse),
          inventory,
        );
        expect(bytesOf(left, inventory)).toBeLessThanOrEqual(Math.max(maxUsedBytes, least));
        if (lastGone) {
          expect(bytesOf([...left, lastGone], inventory)).toBeGreaterThan(maxUsedBytes);
          // What stays though it was not used for longer would free nothing.
          const older = free.filter(({ entry }) => entry.lastUsedAt < lastGone.entry.lastUsedAt);
          const others = left.filter((item) => !older.includes(item));
          expect(bytesOf(others, inventory)).toBe(bytesOf(left, inventory));
          for (const item of items)
            expect(bytesOf([...left, item], inventory)).toBeGreaterThan(bytesOf(left, inventory));
        }
        expect(items.every(({ entry }) => !entry.inUse)).toBe(true);
      }),
    );
  });

  it("is only what was not used since, and of the wanted type", () => {
    const inventory = inventoryOf([
      { layers: [1], usedAt: 10, inUse: false },
      { layers: [2], usedAt: 90, inUse: false },
    ]);
    const old = chooseBy(inventory, { ...all, keepDurationMs: 50 }, { now: 100, disk });
    expect(old.items.map(({ entry }) => entry.id)).toEqual(["r0"]);
    const none = chooseBy(
      inventory,
      { ...all, filters: [({ type }) => type === "exec.cachemount"] },
      { now: 100, disk },
    );
    expect(none.items).toEqual([]);
  });
});
