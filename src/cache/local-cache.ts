import { setImmediate as nextTurn } from "node:timers/promises";
import { type AbortOptions, type Clock, canonicalJson, type Digest, EngineError } from "../base/index.js";
import type { LayerStore, Tree } from "../snapshot/index.js";
import type {
  CacheKey,
  CacheManager,
  CacheRecord,
  ContentPart,
  ExplainedKey,
  FindOptions,
  NewRecord,
} from "../solver/index.js";
import type { Database } from "../store/index.js";
import { buryRecords } from "./tombstones.js";

/** What the local cache needs to know of a result: it is a tree of layers. */
export interface TreeResult {
  readonly tree: Tree;
}

export interface LocalCacheOptions<R> {
  readonly database: Database;
  readonly layers: LayerStore;
  readonly clock: Clock;
  /** A fresh, unpredictable record id. */
  readonly newId: () => string;
  /** The engine and the build that what is found and saved is leased to. */
  readonly owner: string;
  readonly build: string;
  /** Told when a record has been saved, which is not settled before this is. */
  readonly onSaved?: (() => Promise<void>) | undefined;
  /** A result for a tree. */
  readonly open: (tree: Tree) => R;
}

export interface LocalCacheManager<R> extends CacheManager<R> {
  /**
   * Ends the build's leases on records that SPARE gives, which it is asked several times: on those that it gives every time and nobody
   * finds meanwhile. Whatever they name may be removed then. How many there were.
   */
  giveUp(spare: () => readonly CacheRecord[]): Promise<number>;
}

/** The cache in this state directory's database, opened for one build. */
export function createLocalCache<R extends TreeResult>(options: LocalCacheOptions<R>): LocalCacheManager<R> {
  return new LocalCache(options);
}

type RecordRow = {
  readonly id: string;
  readonly content_key: CacheKey;
  readonly outputs: number;
};

class LocalCache<R extends TreeResult> implements LocalCacheManager<R> {
  readonly #options: LocalCacheOptions<R>;
  readonly #database: Database;
  readonly #leased = new Map<string, CacheRecord>();

  constructor(options: LocalCacheOptions<R>) {
    this.#options = options;
    this.#database = options.database;
  }

  async find(key: CacheKey, { outputs, ...options }: FindOptions): Promise<CacheRecord | undefined> {
    const row = this.#newest(key);
    if (!row) return undefined;
    const known = this.#leased.get(row.id);
    if (known) return known;
    // The lease and the look-up are one transaction: a prune in between would leave a lease on nothing.
    return this.#database.transaction(() => {
      for (;;) {
        const still = this.#newest(key);
        if (!still || outputs === undefined || still.outputs === outputs) return still && this.#lease(still);
        this.#bury(still);
      }
    }, options);
  }

  #newest(key: CacheKey): RecordRow | undefined {
    return this.#database.get<RecordRow>(
      `SELECT record.id, record.content_key, json_array_length(record.results) AS outputs FROM key_record JOIN record ON record.id = key_record.record
       WHERE key_record.key = ? ORDER BY key_record.seq DESC LIMIT 1`,
      key,
    );
  }

  #lease(row: Pick<RecordRow, "id" | "content_key">): CacheRecord {
    const { owner, build, clock } = this.#options;
    this.#database.run(
      "INSERT OR IGNORE INTO lease (owner, build, kind, target) VALUES (?, ?, 'record', ?)",
      owner,
      build,
      row.id,
    );
    this.#database.run("UPDATE record SET used_at = ? WHERE id = ?", clock.now(), row.id);
    const record = { id: row.id, contentKey: row.content_key };
    this.#leased.set(row.id, record);
    return record;
  }

  async load(record: CacheRecord): Promise<readonly R[]> {
    const { layers, open } = this.#options;
    const trees = this.#trees(record);
    const distinct = new Set(trees.flat());
    for (const layer of distinct) layers.info(layer);
    const [lost] = await layers.mend(distinct);
    if (lost !== undefined) throw new EngineError("data-loss", `the files of layer ${lost} are damaged or gone`);
    return trees.map(open);
  }

  #trees(record: CacheRecord): readonly Tree[] {
    const row = this.#database.get<{ results: string }>("SELECT results FROM record WHERE id = ?", record.id);
    return row ? (JSON.parse(row.results) as Tree[]) : [];
  }

  async save({ keys, contentKey, results, description }: NewRecord<R>, options: AbortOptions): Promise<CacheRecord> {
    const { newId, clock } = this.#options;
    const id = newId();
    const trees = results.map(({ tree }) => tree);
    const saved = await this.#database.transaction(() => {
      const now = clock.now();
      this.#database.run(
        "INSERT INTO record (id, content_key, results, description, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?)",
        ...[id, contentKey, JSON.stringify(trees), description, now, now],
      );
      for (const layer of new Set(trees.flat()))
        this.#database.run("INSERT INTO record_layer (record, layer) VALUES (?, ?)", id, layer);
      for (const key of keys) this.#name(key, id);
      return this.#lease({ id, content_key: contentKey });
    }, options);
    await this.#options.onSaved?.();
    return saved;
  }

  #name({ key, preimage }: ExplainedKey, record: string): void {
    this.#database.run("INSERT OR IGNORE INTO cache_key (key, preimage) VALUES (?, ?)", key, canonicalJson(preimage));
    this.#database.run("INSERT OR REPLACE INTO key_record (key, record) VALUES (?, ?)", key, record);
  }

  async link(key: ExplainedKey, record: CacheRecord, options: AbortOptions): Promise<void> {
    await this.#database.transaction(() => this.#name(key, record.id), options);
  }

  async content(record: CacheRecord, part: ContentPart): Promise<Digest | undefined> {
    const tree = this.#trees(record)[part.index];
    return tree && this.#options.layers.knownContent(tree, part.selector);
  }

  async noteContent(record: CacheRecord, part: ContentPart, digest: Digest): Promise<void> {
    const tree = this.#trees(record)[part.index];
    if (tree) await this.#options.layers.content(tree, part.selector, async () => digest);
  }

  async giveUp(spare: () => readonly CacheRecord[]): Promise<number> {
    // Who finds one of them from now on leases it anew. Who has just found one says so to SPARE before it is asked again.
    const records = spare().filter(({ id }) => this.#leased.delete(id));
    if (records.length === 0) return 0;
    await nextTurn();
    const { owner, build } = this.#options;
    return this.#database.transaction(() => {
      const still = new Set(spare().map(({ id }) => id));
      const given = records.filter((record) => !this.#leased.has(record.id) && still.has(record.id));
      for (const { id } of given) {
        const lease = [owner, build, id] as const;
        this.#database.run(
          "DELETE FROM lease WHERE owner = ? AND build = ? AND kind = 'record' AND target = ?",
          ...lease,
        );
        // Records say from now on who needs its layers.
        const layers = "SELECT layer FROM record_layer WHERE record = ?";
        this.#database.run(
          `UPDATE layer SET owner = NULL WHERE owner = ? AND state <> 'active' AND id IN (${layers})`,
          owner,
          id,
        );
      }
      for (const record of records)
        if (!given.includes(record) && !this.#leased.has(record.id)) this.#leased.set(record.id, record);
      return given.length;
    });
  }

  async discard(record: CacheRecord, options: AbortOptions): Promise<void> {
    this.#leased.delete(record.id);
    await this.#database.transaction(() => this.#bury(record), options);
  }

  #bury({ id }: { readonly id: string }): void {
    const burial = { at: this.#options.clock.now(), reason: "damaged" } as const;
    buryRecords(this.#database, "id = ?", [id], burial);
  }
}
