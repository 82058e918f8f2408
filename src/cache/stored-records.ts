import type { Digest } from "../base/index.js";
import type { Tree } from "../snapshot/index.js";
import type { CacheKey, KeyPreimage } from "../solver/index.js";
import type { Database } from "../store/index.js";

/** All that this machine knows of a record: what another one needs to find and use it. */
export interface StoredRecord {
  readonly contentKey: CacheKey;
  /** What its keys are the digests of, in the order of the keys. */
  readonly keys: readonly KeyPreimage[];
  /** The layers of each output. */
  readonly results: readonly Tree[];
  /** What is known of the outputs' contents: of which one, by which selector. In their order. */
  readonly contents: readonly (readonly [index: number, selector: string, digest: Digest])[];
  readonly description: string;
}

/** The records IDS that there are. */
export function readRecords(database: Database, ids: readonly string[]): readonly StoredRecord[] {
  return ids.flatMap((id) => readRecord(database, id) ?? []);
}

function readRecord(database: Database, id: string): StoredRecord | undefined {
  const row = database.get<{ content_key: CacheKey; results: string; description: string }>(
    "SELECT content_key, results, description FROM record WHERE id = ?",
    id,
  );
  if (!row) return undefined;
  const keys = database.all<{ preimage: string }>(
    `SELECT cache_key.preimage FROM key_record JOIN cache_key ON cache_key.key = key_record.key
     WHERE key_record.record = ? ORDER BY key_record.key`,
    id,
  );
  const results = JSON.parse(row.results) as Tree[];
  const contents = results.flatMap((tree, index) => {
    const noted = database.all<{ selector: string; digest: Digest }>(
      "SELECT selector, digest FROM tree_content WHERE tree = ? ORDER BY selector",
      tree.join("."),
    );
    return noted.map(({ selector, digest }) => [index, selector, digest] as const);
  });
  return {
    contentKey: row.content_key,
    keys: keys.map(({ preimage }) => JSON.parse(preimage) as KeyPreimage),
    results,
    contents,
    description: row.description,
  };
}
