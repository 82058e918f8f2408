import type { Digest } from "../base/index.js";
import type { Database } from "../store/index.js";
import type { MadeLayer } from "./layer-store.js";
import type { LayerId, Tree } from "./tree.js";

/** What was made of layers: their blobs, and the digests of what is selected of them. */
export class LayerYield {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  blob(layer: LayerId, variant: string): MadeLayer | undefined {
    const row = this.#database.get<{ descriptor: string }>(
      "SELECT descriptor FROM layer_blob WHERE layer = ? AND variant = ?",
      layer,
      variant,
    );
    return row && (JSON.parse(row.descriptor) as MadeLayer);
  }

  async setBlob(layer: LayerId, variant: string, made: MadeLayer): Promise<void> {
    await this.#database.transaction(() =>
      this.#database.run(
        "INSERT OR REPLACE INTO layer_blob (layer, variant, descriptor) VALUES (?, ?, ?)",
        layer,
        variant,
        JSON.stringify(made),
      ),
    );
  }

  knownContent(tree: Tree, selector: string): Digest | undefined {
    const row = this.#database.get<{ digest: Digest }>(
      "SELECT digest FROM tree_content WHERE tree = ? AND selector = ?",
      tree.join("."),
      selector,
    );
    return row?.digest;
  }

  async content(tree: Tree, selector: string, compute: () => Promise<Digest>): Promise<Digest> {
    const known = this.knownContent(tree, selector);
    if (known) return known;
    const digest = await compute();
    const top = tree.at(-1);
    if (top !== undefined) {
      await this.#database.transaction(() =>
        this.#database.run(
          "INSERT OR REPLACE INTO tree_content (tree, selector, digest, top) VALUES (?, ?, ?, ?)",
          ...[tree.join("."), selector, digest, top],
        ),
      );
    }
    return digest;
  }
}
