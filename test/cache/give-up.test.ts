import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { cacheMigrations, createLocalCache, type LocalCacheManager, pruneRecords } from "../../src/cache/index.js";
import { type LayerStore, layerMigrations, type Tree } from "../../src/snapshot/index.js";
import { type CacheRecord, explainedKey } from "../../src/solver/index.js";
import { type Database, openDatabase } from "../../src/store/index.js";

const keyOf = (name: string) => explainedKey({ v: 1, op: digestOf(name), inputs: [] });
const signal = new AbortController().signal;

let directory: string;
let database: Database;
let cache: LocalCacheManager<{ readonly tree: Tree }>;

beforeEach(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-give-up-"));
  database = await openDatabase(path.join(directory, "db"), [...layerMigrations, ...cacheMigrations]);
  let records = 0;
  cache = createLocalCache({
    database,
    layers: {} as LayerStore,
    clock: { now: () => 0 },
    newId: () => `r${records++}`,
    owner: "owner",
    build: "build",
    open: (tree) => ({ tree }),
  });
  for (const layer of [1, 2])
    database.run("INSERT INTO layer (id, state, owner, created_at) VALUES (?, 'ready', 'owner', 0)", layer);
});

afterEach(() => {
  database.close();
  fs.rmSync(directory, { recursive: true });
});

const save = (name: string, tree: Tree): Promise<CacheRecord> => {
  const key = keyOf(name);
  return cache.save({ keys: [key], contentKey: key.key, results: [{ tree }], description: name }, { signal });
};
const pruned = () => pruneRecords(database, () => true, { at: 0 });
const owned = () => database.all<{ id: number }>("SELECT id FROM layer WHERE owner = 'owner'").map(({ id }) => id);

it("what a build gives up may be pruned, with the layers that only it has", async () => {
  const [one, two] = [await save("one", [1]), await save("two", [1, 2])];
  expect(await pruned()).toBe(0);
  expect(await cache.giveUp(() => [one])).toBe(1);
  expect(await cache.giveUp(() => [one])).toBe(0);
  expect(owned()).toEqual([2]);
  expect(await pruned()).toBe(1);
  expect(await cache.find(keyOf("one").key, { signal })).toBeUndefined();
  expect(await cache.find(keyOf("two").key, { signal })).toEqual(two);
});

it("what is found while it is given up is leased anew", async () => {
  const one = await save("one", [1]);
  const giving = cache.giveUp(() => [one]);
  const found = cache.find(keyOf("one").key, { signal });
  expect(await giving).toBe(0);
  expect(await found).toEqual(one);
  expect(await pruned()).toBe(0);
});

it("what turns out to be needed after all keeps its lease", async () => {
  const one = await save("one", [1]);
  let asked = 0;
  expect(await cache.giveUp(() => (asked++ === 0 ? [one] : []))).toBe(0);
  expect(await pruned()).toBe(0);
  expect(await cache.giveUp(() => [one])).toBe(1);
  expect(await cache.find(keyOf("one").key, { signal })).toEqual(one);
  expect(await pruned()).toBe(0);
});
