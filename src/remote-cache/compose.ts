import type { StoredRecord } from "../cache/index.js";
import { type LayerId, TREE_LAYERS_MAX, type Tree } from "../snapshot/index.js";
import { explainedKey } from "../solver/index.js";
import type { CacheDocument, CacheLayer } from "./document.js";
import { CHAINS_MAX, CONTENTS_MAX, KEYS_MAX, OUTPUTS_MAX, RECORDS_MAX, type RecordEntry } from "./document-schema.js";

/**
 * The cache that RECORDS make. The results of those that stand on a layer that LAYERS lacks are left out: of them only that is written
 * which steps built on them count by.
 */
export function composeCache(
  records: readonly StoredRecord[],
  layers: ReadonlyMap<LayerId, CacheLayer>,
): CacheDocument {
  const listed: CacheLayer[] = [];
  const numbers = new Map<string, number>();
  // Layers of other numbers may be the same.
  const composed = composeRecords(records, (id) => {
    const layer = layers.get(id);
    if (!layer) return undefined;
    const name = `${layer.diffId} ${layer.descriptor.digest} ${layer.createdAt}`;
    const number = numbers.get(name) ?? listed.push(layer) - 1;
    numbers.set(name, number);
    return number;
  });
  return { ...composed, layers: listed };
}

/** As `composeCache`, of layers that NUMBER_OF numbers. */
export function composeRecords(
  records: readonly StoredRecord[],
  numberOf: (layer: LayerId) => number | undefined,
): Omit<CacheDocument, "layers"> {
  const chains = new Chains(numberOf);
  const sorted = [...records].sort((a, b) => compare(orderOf(a), orderOf(b)));
  const entries = sorted.slice(0, RECORDS_MAX).flatMap((record) => entryOf(record, chains) ?? []);
  return { chains: chains.listed, records: entries };
}

/** Undefined for a record without its own key, which nobody would believe. */
function entryOf(record: StoredRecord, chains: Chains): RecordEntry | undefined {
  const { contentKey, results, contents, description } = record;
  const own = record.keys.findIndex((preimage) => explainedKey(preimage).key === contentKey);
  if (own < 0) return undefined;
  const keys = own < KEYS_MAX ? record.keys : [...record.keys.slice(own), ...record.keys];
  const numbers = results.slice(0, OUTPUTS_MAX).flatMap((tree) => chains.number(tree) ?? []);
  return {
    keys: keys.slice(0, KEYS_MAX),
    contentKey,
    ...(numbers.length === results.length ? { results: numbers } : {}),
    contents: contents.slice(0, CONTENTS_MAX),
    name: description,
  };
}

class Chains {
  readonly listed: (readonly [below: number, layer: number])[] = [];
  readonly #numberOf: (layer: LayerId) => number | undefined;
  readonly #known = new Map<string, number>();

  constructor(numberOf: (layer: LayerId) => number | undefined) {
    this.#numberOf = numberOf;
  }

  /** The number of the chain that TREE is; undefined where a layer has no number, and beyond the bounds. */
  number(tree: Tree): number | undefined {
    const numbers = tree.flatMap((layer) => this.#numberOf(layer) ?? []);
    if (numbers.length < tree.length || tree.length > TREE_LAYERS_MAX) return undefined;
    let chain = -1;
    for (const layer of numbers) {
      const name = `${chain} ${layer}`;
      const known = this.#known.get(name);
      if (known === undefined && this.listed.length === CHAINS_MAX) return undefined;
      chain = known ?? this.listed.push([chain, layer]) - 1;
      this.#known.set(name, chain);
    }
    return chain;
  }
}

function orderOf({ contentKey, description }: StoredRecord): string {
  return `${contentKey} ${description}`;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
