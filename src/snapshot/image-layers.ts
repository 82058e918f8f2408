import { type Digest, digestOf, EngineError } from "../base/index.js";
import type { Descriptor, Layer } from "../oci/index.js";
import type { Database } from "../store/index.js";
import { isAsItWas } from "./layer-files.js";
import { type LayerRow, type LayerRows, originsOf } from "./layer-rows.js";
import type { ImageLayer, LayerStoreOptions, Relocation } from "./layer-store.js";
import type { LayerId, Tree } from "./tree.js";

const INSERT_LAZY = `INSERT INTO layer (state, chain_id, diff_id, blob, origin, boot_id, created_at)
  VALUES ('lazy', ?, ?, ?, ?, ?, ?) RETURNING id`;
/** More places of one blob are not remembered. */
const ORIGINS_MAX = 8;

/** The layers that images have, by the names that what they hold gives them (image-spec, config, "Layer ChainID"). */
export class ImageLayers {
  readonly #options: LayerStoreOptions;
  readonly #database: Database;
  readonly #rows: LayerRows;

  constructor(options: LayerStoreOptions, rows: LayerRows) {
    this.#options = options;
    this.#database = options.database;
    this.#rows = rows;
  }

  /** As `LayerStore.adopt`. */
  adopt(layers: readonly ImageLayer[], build: string): Promise<Tree> {
    const { owner, clock, bootId } = this.#options;
    return this.#rows.displacing(() => {
      const tree: LayerId[] = [];
      let chain: Digest | undefined;
      for (const { diffId, descriptor, origin, createdAt = clock.now() } of layers) {
        chain = chainOf(chain, diffId);
        const place = { descriptor, origin };
        const known = this.#rows.named(chain);
        const blob = [JSON.stringify(descriptor), originText(place)];
        const id = known?.id ?? this.#rows.inserted(INSERT_LAZY, chain, diffId, ...blob, bootId, createdAt);
        if (known?.state === "lazy") this.#addOrigin(known, place);
        if (known?.state === "ready" && !isAsItWas(this.#options.dirs, known)) this.#adoptLost(known, place);
        tree.push(id);
        this.#database.run(
          "INSERT OR IGNORE INTO lease (owner, build, kind, target) VALUES (?, ?, 'layer', ?)",
          ...[owner, build, String(id)],
        );
      }
      return tree;
    });
  }

  /** A layer whose files are gone can be had again where an image's layer can. */
  #adoptLost(row: LayerRow, { descriptor, origin }: Pick<ImageLayer, "descriptor" | "origin">): void {
    const { isStored, dirs } = this.#options;
    if (row.origin === null && !isStored(descriptor.digest)) {
      throw new EngineError(
        "data-loss",
        `the files of its layer ${row.diff_id} are gone from ${dirs.layers}, or damaged`,
      );
    }
    const update = "UPDATE layer SET blob = ?, origin = ? WHERE id = ? AND origin IS NULL";
    this.#database.run(update, JSON.stringify(descriptor), originText({ origin }), row.id);
    this.#rows.unplace(row.id);
  }

  /** The same content may have other blobs elsewhere: a place counts only if it has this one. */
  #addOrigin(row: LayerRow, { descriptor, origin }: Pick<ImageLayer, "descriptor" | "origin">): void {
    const known = originsOf(row);
    const blob = row.blob === null ? undefined : (JSON.parse(row.blob) as Descriptor);
    const isSame = blob?.digest === descriptor.digest && blob.size === descriptor.size;
    if (!isSame || origin === undefined || known.includes(origin) || known.length >= ORIGINS_MAX) return;
    this.#database.run("UPDATE layer SET origin = ? WHERE id = ?", JSON.stringify([...known, origin]), row.id);
  }

  /** As `LayerStore.relocate`. */
  async relocate(lost: readonly LayerId[], images: readonly (readonly ImageLayer[])[]): Promise<Relocation> {
    if (lost.length === 0) return { moved: [], left: [] };
    return this.#database.transaction(() => {
      const left = new Set(lost);
      const moved: LayerId[] = [];
      for (const layers of images) {
        for (const [i, row] of this.known(layers).entries()) {
          const layer = layers[i];
          if (!row || !layer || row.state !== "lazy" || !left.delete(row.id)) continue;
          const place = [JSON.stringify(layer.descriptor), originText(layer)] as const;
          if (row.blob === place[0] && row.origin === place[1]) continue;
          this.#database.run("UPDATE layer SET blob = ?, origin = ? WHERE id = ?", ...place, row.id);
          moved.push(row.id);
        }
      }
      return { moved, left: [...left] };
    });
  }

  /** The layers that are known by LAYERS of an image, bottom first. */
  known(layers: readonly Layer[]): readonly (LayerRow | undefined)[] {
    let chain: Digest | undefined;
    return layers.map(({ diffId }) => {
      chain = chainOf(chain, diffId);
      return this.#rows.named(chain);
    });
  }

  /** As `LayerStore.setChain`. */
  setChain(tree: Tree, diffIds: readonly Digest[]): Promise<readonly LayerId[]> {
    return this.#database.transaction(() => {
      let chain: Digest | undefined;
      return tree.filter((layer, i) => {
        const diffId = diffIds[i];
        if (diffId === undefined) throw new EngineError("internal", `no digest for layer ${layer}`);
        chain = chainOf(chain, diffId);
        this.#database.run("UPDATE layer SET diff_id = ?1 WHERE id = ?2 AND diff_id IS NOT ?1", diffId, layer);
        this.#unnameLost(chain, layer);
        const set = "UPDATE OR IGNORE layer SET chain_id = ? WHERE id = ? AND chain_id IS NULL";
        this.#database.run(set, chain, layer);
        return this.#rows.named(chain) === undefined;
      });
    });
  }

  /** A layer that has lost its files gives the name CHAIN to LAYER. */
  #unnameLost(chain: Digest, layer: LayerId): void {
    const holder = this.#rows.named(chain);
    if (holder && holder.id !== layer && this.#rows.isDamaged(holder.id))
      this.#database.run("UPDATE layer SET chain_id = NULL WHERE id = ?", holder.id);
  }
}

function originText({ origin }: Pick<ImageLayer, "origin">): string {
  return JSON.stringify(origin === undefined ? [] : [origin]);
}

/** The name of a layer by what it and all below it hold (image-spec, config, "Layer ChainID"). */
function chainOf(below: Digest | undefined, diffId: Digest): Digest {
  return below ? digestOf(`${below} ${diffId}`) : diffId;
}
