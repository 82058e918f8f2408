import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CachePolicy, defaultPolicies, type UsageEntry } from "../../src/cache/index.js";
import { chooseBy, ripeAt } from "../../src/engine/collection.js";
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

describe("when it is worth looking for what is old", () => {
  const kept: CachePolicy = { ...all, keepDurationMs: 50, maxUsedBytes: 3 };
  const records = [
    { layers: [1], usedAt: 10, inUse: false },
    { layers: [2], usedAt: 70, inUse: false },
    { layers: [3], usedAt: 1, inUse: true },
  ];
  it("is when the first thing that is too young now is old enough, where the rest has been tried", () => {
    expect(ripeAt(inventoryOf(records), [kept], { now: 100, disk })).toBe(120);
    expect(ripeAt(inventoryOf(records.slice(0, 1)), [kept], { now: 100, disk })).toBe(60);
    expect(ripeAt(inventoryOf([]), [kept], { now: 100, disk })).toBe(150);
  });

  it("is at once where there is something old that there was room for, and never without a policy that keeps what is young", () => {
    expect(ripeAt(inventoryOf(records), [{ ...kept, maxUsedBytes: 99 }], { now: 100, disk })).toBe(60);
    expect(ripeAt(inventoryOf(records), [{ ...kept, keepDurationMs: 0 }], { now: 100, disk })).toBe(Infinity);
  });
});

const DAY = 24 * 3_600_000;
const NOW = 1000 * DAY;
const GB = 1e9;

/** Entries that need nothing of one another: ID, type, days since they were used, bytes. */
function entriesOf(
  ...rows: readonly (readonly [string, UsageEntry["type"], number, number, Partial<UsageEntry>?])[]
): Inventory {
  const items = rows.map(([id, type, days, sizeBytes, more]): StoredItem => {
    const times = { createdAt: 0, lastUsedAt: NOW - days * DAY };
    const flags = { inUse: false, shared: false, mutable: false };
    const entry = { id, type, description: "", sizeBytes, ...times, ...flags, parents: [], ...more };
    return { entry, thing: { kind: "record", id }, units: [] };
  });
  return {
    items,
    sizes: new Map(),
    pinned: new Set(),
    totalBytes: rows.reduce((sum, [, , , bytes]) => sum + bytes, 0),
  };
}

/** What the usual policies remove of INVENTORY one after the other, on a disk of 100 GB of which so much is FREE. */
function removed(inventory: Inventory, free = 50 * GB): readonly (readonly string[])[] {
  let left = inventory;
  return defaultPolicies({ totalBytes: 100 * GB, freeBytes: free }).map((policy) => {
    const { items, bytes } = chooseBy(left, policy, { now: NOW, disk: { totalBytes: 100 * GB, freeBytes: free } });
    left = { ...left, items: left.items.filter((item) => !items.includes(item)), totalBytes: left.totalBytes - bytes };
    return items.map(({ entry }) => entry.id);
  });
}

describe("the usual policies", () => {
  it("remove contexts and repositories after a week, mounts after a month and all else after two, where there is much", () => {
    const old = entriesOf(
      ["git 8", "source.git.checkout", 8, GB],
      ["git 6", "source.git.checkout", 6, GB],
      ["contexts 8", "source.local", 8, GB],
      ["mount 31", "exec.cachemount", 31, 2 * GB],
      ["mount 29", "exec.cachemount", 29, 2 * GB],
      ["step 61", "regular", 61, 1],
      ["step 59", "regular", 59, 1],
      ["used 61", "regular", 61, 1, { inUse: true }],
      ["image's 61", "regular", 61, 1, { shared: true }],
    );
    expect(removed(old)).toEqual([["git 8", "contexts 8"], ["mount 31"], ["step 61"], []]);
  });

  it("leave alone for its age what is little, but for the oldest", () => {
    expect(
      removed(
        entriesOf(
          ["git 8", "source.git.checkout", 8, GB],
          ["mount 31", "exec.cachemount", 31, 1],
          ["git 61", "source.git.checkout", 61, 1],
        ),
      ),
    ).toEqual([[], [], ["git 61"], []]);
  });

  it("keep to the bounds whatever was used when: so much at most, so much free, and never below what is reserved", () => {
    const steps = entriesOf(...[5, 4, 3, 2, 1].map((n) => [`${n}`, "regular", n, 15 * GB] as const));
    expect(removed(steps)[3]).toEqual(["5"]);
    expect(removed(steps, 9 * GB)[3]).toEqual(["5"]);
    expect(removed(steps, 0)[3]).toEqual(["5"]);
    const few = entriesOf(...[2, 1].map((n) => [`${n}`, "regular", n, 9 * GB] as const));
    expect(removed(few)[3]).toEqual([]);
    expect(removed(few, 5 * GB)[3]).toEqual(["2"]);
    expect(removed(entriesOf(["1", "regular", 1, 9 * GB]), 0)[3]).toEqual([]);
  });

  it("take a clock that was set back for what it says", () => {
    expect(removed(entriesOf(["tomorrow's", "regular", -1, GB], ["step 61", "regular", 61, 1]))).toEqual([
      [],
      [],
      ["step 61"],
      [],
    ]);
  });
});
