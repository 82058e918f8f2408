import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CachePolicy, UsageEntry } from "../../src/cache/index.js";
import { loadCachePolicies } from "../../src/engine/cache-config.js";
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
        if (free.length > 0) expect(bytesOf(left, inventory)).toBeLessThanOrEqual(maxUsedBytes);
        if (lastGone) {
          expect(bytesOf([...left, lastGone], inventory)).toBeGreaterThan(maxUsedBytes);
          expect(free.every(({ entry }) => entry.lastUsedAt >= lastGone.entry.lastUsedAt)).toBe(true);
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

describe("policies in a file", () => {
  const load = (text: string, options: Partial<Parameters<typeof loadCachePolicies>[0]> = {}) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "policies-"));
    try {
      const file = path.join(directory, "ashlar.toml");
      fs.writeFileSync(file, text);
      return loadCachePolicies({ files: [path.join(directory, "none"), file], disk, ...options });
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  };

  it("are those of buildkitd", () => {
    const text = [
      "[[gc.policy]]",
      'reservedSpace = "1KB"',
      "maxUsedSpace = 5000",
      'minFreeSpace = "10%"',
      "keepDuration = 172800",
      'filters = [ "type==source.local", "type==exec.cachemount"]',
      "[[gc.policy]]",
      "all = true",
      'keepDuration = "1h30m"',
    ].join("\n");
    const [first, second, ...others] = load(text);
    expect(others).toEqual([]);
    expect(first).toMatchObject({ all: false, reservedBytes: 1024, maxUsedBytes: 5000, minFreeBytes: 100_000 });
    expect(first).toMatchObject({ keepDurationMs: 172_800_000, filters: [expect.any(Function), expect.any(Function)] });
    expect(second).toMatchObject({ all: true, keepDurationMs: 5_400_000, filters: [] });
  });

  it("are the usual ones with other bounds, or none", () => {
    expect(load('[gc]\nmaxUsedSpace = "1kb"').at(-1)).toMatchObject({ maxUsedBytes: 1024, reservedBytes: 1024 });
    expect(load("[gc]\nenabled = false")).toEqual([]);
    expect(load("[gc]\nenabled = false", { maxUsed: { bytes: 7 } }).at(-1)).toMatchObject({ maxUsedBytes: 7 });
    expect(load("[[gc.policy]]\nall = true", { maxUsed: { percent: 50 } }).at(-1)).toMatchObject({
      maxUsedBytes: 500_000,
    });
  });

  it.each([
    ['[gc]\nmaxUsedSpace = "much"', /maxUsedSpace of gc must be a size/],
    ["[[gc.policy]]\nkeepDuration = true", /keepDuration of gc must be a duration/],
    ['[[gc.policy]]\nfilters = "type==x"', /filters of gc must be a list/],
    ['[[gc.policy]]\nfilters = ["color==x"]', /color is no field/],
    ["gc = 3", /gc is/],
    ["[gc", /line 1/],
  ])("that can't be read are refused: %j", (text, message) => {
    expect(() => load(text)).toThrow(message);
  });
});
