import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { cacheMigrations, createLocalCache, pruneRecords } from "../../src/cache/index.js";
import { type LayerStore, layerMigrations, type Tree } from "../../src/snapshot/index.js";
import { type CacheManager, type CacheRecord, type ExplainedKey, explainedKey } from "../../src/solver/index.js";
import { type Database, openDatabase } from "../../src/store/index.js";

/** The reference model: a key names records newest first; a record lives while it is not discarded or pruned; leases die with owners. */
class Model {
  readonly keys = new Map<number, string[]>();
  readonly records = new Map<string, { readonly contentKey: number; readonly trees: readonly Tree[] }>();
  readonly leases = new Map<string, Set<string>>();
  readonly dead = new Set<string>();

  newest(key: number): string | undefined {
    return this.keys.get(key)?.find((id) => this.records.has(id));
  }
  name(key: number, id: string): void {
    this.keys.set(key, [id, ...(this.keys.get(key) ?? []).filter((each) => each !== id)]);
  }
  lease(build: string, id: string): void {
    this.leases.set(build, (this.leases.get(build) ?? new Set()).add(id));
  }
  prune(): void {
    const living = [...this.leases].filter(([build]) => !this.dead.has(ownerOf(build))).flatMap(([, ids]) => [...ids]);
    for (const id of this.records.keys()) if (!living.includes(id)) this.records.delete(id);
  }
}

const OWNERS = ["a", "b"];
const ownerOf = (build: string): string => build.slice(0, 1);
const keyOf = (n: number): ExplainedKey => explainedKey({ v: 1, op: digestOf(String(n)), inputs: [] });

type Step =
  | { readonly do: "find"; readonly build: number; readonly key: number }
  | {
      readonly do: "save";
      readonly build: number;
      readonly keys: readonly number[];
      readonly layers: readonly number[];
    }
  | { readonly do: "link"; readonly build: number; readonly key: number; readonly from: number }
  | { readonly do: "discard"; readonly build: number; readonly key: number }
  | { readonly do: "end"; readonly build: number }
  | { readonly do: "kill"; readonly owner: number }
  | { readonly do: "prune" };

const key = fc.nat(5);
const build = fc.nat(3);
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("find" as const), build, key }),
    fc.record({
      do: fc.constant("save" as const),
      build,
      keys: fc.uniqueArray(key, { minLength: 1, maxLength: 3 }),
      layers: fc.uniqueArray(fc.nat(9), { maxLength: 4 }),
    }),
    fc.record({ do: fc.constant("link" as const), build, key, from: key }),
    fc.record({ do: fc.constant("discard" as const), build, key }),
    fc.record({ do: fc.constant("end" as const), build }),
    fc.record({ do: fc.constant("kill" as const), owner: fc.nat(1) }),
    fc.record({ do: fc.constant("prune" as const) }),
  ),
  { maxLength: 30 },
);

let directory: string;
let database: Database;
beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "cache-"));
  database = await openDatabase(path.join(directory, "test.db"), [...layerMigrations, ...cacheMigrations]);
});
afterAll(() => {
  database.close();
  fs.rmSync(directory, { recursive: true });
});

interface Opened {
  readonly tree: Tree;
}

/** The system under test, driven beside the model. */
class World {
  readonly model = new Model();
  readonly #caches = new Map<string, CacheManager<Opened>>();
  #ids = 0;

  buildOf(n: number): string {
    return `${OWNERS[n % 2]}${n}`;
  }
  cache(build: string): CacheManager<Opened> {
    const known = this.#caches.get(build);
    if (known) return known;
    const layers = { info: () => ({ state: "ready" }), mend: async () => [] } as unknown as LayerStore;
    const newId = () => `r${this.#ids++}`;
    const cache = createLocalCache<Opened>({
      database,
      layers,
      clock: { now: () => 0 },
      newId,
      owner: ownerOf(build),
      build,
      open: (tree) => ({ tree }),
    });
    this.#caches.set(build, cache);
    return cache;
  }
  end(build: string): void {
    database.run("DELETE FROM lease WHERE build = ?", build);
    this.model.leases.delete(build);
    this.#caches.delete(build);
  }

  async find(build: string, key: number): Promise<CacheRecord | undefined> {
    const found = await this.cache(build).find(keyOf(key).key, {});
    expect(found?.id).toBe(this.model.newest(key));
    if (found) this.model.lease(build, found.id);
    return found;
  }

  async perform(step: Step): Promise<void> {
    const { model } = this;
    switch (step.do) {
      case "find": {
        const found = await this.find(this.buildOf(step.build), step.key);
        if (!found) return;
        const loaded = await this.cache(this.buildOf(step.build)).load(found, {});
        expect(loaded.map(({ tree }) => tree)).toEqual(model.records.get(found.id)?.trees);
        expect(found.contentKey).toBe(keyOf(model.records.get(found.id)?.contentKey ?? -1).key);
        return;
      }
      case "save": {
        const build = this.buildOf(step.build);
        const [contentKey = 0] = step.keys;
        const trees = [step.layers.map((layer) => layer + 1)];
        const results = trees.map((tree) => ({ tree }));
        const record = await this.cache(build).save(
          { keys: step.keys.map(keyOf), contentKey: keyOf(contentKey).key, results, description: "step" },
          {},
        );
        model.records.set(record.id, { contentKey, trees });
        for (const each of step.keys) model.name(each, record.id);
        model.lease(build, record.id);
        return;
      }
      case "link": {
        const build = this.buildOf(step.build);
        const found = await this.find(build, step.from);
        if (!found) return;
        await this.cache(build).link(keyOf(step.key), found, {});
        model.name(step.key, found.id);
        return;
      }
      case "discard": {
        const build = this.buildOf(step.build);
        const found = await this.find(build, step.key);
        if (!found) return;
        await this.cache(build).discard(found, {});
        model.records.delete(found.id);
        return;
      }
      case "end":
        return this.end(this.buildOf(step.build));
      case "kill":
        model.dead.add(OWNERS[step.owner] ?? "");
        for (const n of [0, 1, 2, 3])
          if (ownerOf(this.buildOf(n)) === OWNERS[step.owner]) this.#caches.delete(this.buildOf(n));
        return;
      case "prune": {
        const before = model.records.size;
        model.prune();
        expect(await pruneRecords(database, (owner) => !model.dead.has(owner), { at: 0 })).toBe(
          before - model.records.size,
        );
        // A process that was killed does nothing any more: another with its name starts afresh.
        for (const owner of model.dead)
          for (const n of [0, 1, 2, 3]) if (ownerOf(this.buildOf(n)) === owner) this.end(this.buildOf(n));
        model.dead.clear();
      }
    }
  }
}

test("keys, records, leases and prune behave as the reference model does", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      for (const table of ["lease", "key_record", "cache_key", "record_layer", "record"])
        database.run(`DELETE FROM ${table}`);
      const world = new World();
      for (const step of history) {
        if (step.do !== "kill" && step.do !== "prune" && world.model.dead.has(ownerOf(world.buildOf(step.build))))
          continue;
        await world.perform(step);
      }
      for (const n of [0, 1, 2, 3, 4, 5]) await world.find("a9", n);
    }),
    { numRuns: 200 },
  );
});

test("a record of another number of results than its step has is forgotten, and an older one found", async () => {
  for (const table of ["lease", "key_record", "cache_key", "record_layer", "record"])
    database.run(`DELETE FROM ${table}`);
  const cache = new World().cache("a0");
  const entry = { keys: [keyOf(0)], contentKey: keyOf(0).key, description: "step" };
  const whole = await cache.save({ ...entry, results: [{ tree: [1] }] }, {});
  await cache.save({ ...entry, results: [] }, {});
  // Another build: whoever saved a record knows it.
  const later = new World().cache("b1");
  expect((await later.find(keyOf(0).key, { outputs: 1 }))?.id).toBe(whole.id);
  expect(database.all("SELECT id FROM record")).toEqual([{ id: whole.id }]);
  expect(await new World().cache("a2").find(keyOf(0).key, { outputs: 2 })).toBeUndefined();
});
