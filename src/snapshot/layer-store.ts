import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, type Clock, type Digest, digestOf, EngineError, errorCode } from "../base/index.js";
import type { Descriptor, Layer } from "../oci/index.js";
import type { Database, SqlValue } from "../store/index.js";
import type { DataPlane } from "./data-plane.js";
import { DAMAGED_STAMP, hasPlace, highestPlace, isAsItWas, movePlace } from "./layer-files.js";
import { LayerPuller } from "./layer-pull.js";
import type { StateDirs } from "./state-dirs.js";
import type { LayerId, Tree, Workspace } from "./tree.js";
import type { JobProgress } from "./worker/context.js";
import type { LayerSummary } from "./worker/layer-measure.js";

/** A layer of an image, and where its blob can be had: an opaque text that the fetcher understands. */
export interface ImageLayer extends Layer {
  readonly origin: string;
  /** When it was made, in milliseconds since the epoch, where that is known; else that is when it is first heard of. */
  readonly createdAt?: number | undefined;
}

/** A layer that is known of images: every place its blob was seen at, the first ones first. */
export interface KnownLayer extends Layer {
  readonly origins: readonly string[];
}

/** Brings a layer's blob onto this disk; gives the path of the file, verified. */
export type FetchLayer = (
  layer: KnownLayer,
  options: AbortOptions & { readonly onProgress?: (progress: JobProgress) => void },
) => Promise<string>;

/** What happens while a layer is made present. */
export interface EnsureOptions extends AbortOptions {
  readonly onPull?: (
    layer: LayerId,
    descriptor: Descriptor,
    step: "download" | "extract" | "done",
    progress?: JobProgress,
  ) => void;
}

/** The layers on this disk. Disposing of it ends the engine's ownership, and waits a moment for what is being removed; the rest is swept by a later engine. */
export interface LayerStore extends AsyncDisposable {
  /** A new, writable layer over PARENTS, which must be present. The caller commits or abandons it. */
  create(parents: Tree): Promise<Workspace>;
  /** Makes the workspace's layer immutable; gives the whole tree. */
  commit(workspace: Workspace, options?: AbortOptions): Promise<Tree>;
  /** As `commit`, of a layer that a job has left in its final form. */
  seal(workspace: Workspace, summary: LayerSummary): Promise<Tree>;
  /** Throws the workspace away. Its files go in the background: nobody has to wait for them. */
  abandon(workspace: Workspace): Promise<void>;
  /**
   * Takes over what owners had that are gone: their leases end, and what they were making is removed in the background. Throws
   * `unavailable` soon where another process holds the database.
   */
  takeOver(dead: readonly string[]): Promise<void>;
  /** Everybody who owns a layer or a lease. */
  owners(): readonly string[];
  /** Removes the topmost layer of a tree that no record, image or other layer names. */
  remove(tree: Tree): Promise<void>;
  /**
   * Looks at the places of LAYERS: where the files of one are gone, or its root isn't what it was, it is to be fetched again, if it can be.
   * Gives those that are lost.
   */
  mend(layers: Iterable<LayerId>): Promise<readonly LayerId[]>;
  /** Makes a note that a layer, which nobody's build may use any more, does not hold what it did. */
  distrust(layer: LayerId): Promise<void>;
  /**
   * The tree of an image's layers, bottom first. Nothing is fetched; the layers are leased to BUILD. Throws `data-loss` where the files of one
   * are gone that was made here.
   */
  adopt(layers: readonly ImageLayer[], build: string): Promise<Tree>;
  /** What is known of each of an image's LAYERS, bottom first, where that is anything. Nothing is adopted. */
  known(layers: readonly Layer[]): readonly (LayerInfo | undefined)[];
  /** Gives back every lease of BUILD, on layers and on records. */
  release(build: string): Promise<void>;
  /** Fetches and unpacks what of TREE is not on this disk. */
  ensure(tree: Tree, options?: EnsureOptions): Promise<void>;
  /** What is known of a layer; throws `data-loss` for a number that names none. */
  info(layer: LayerId): LayerInfo;
  /** Notes the digest of a layer's uncompressed tar. */
  setDiffId(layer: LayerId, diffId: Digest): Promise<void>;
  /**
   * Notes the digests of a tree's layers as plain archives, so that `adopt` finds the layers by them. Gives those that it won't find,
   * because they are known as part of another tree.
   */
  setChain(tree: Tree, diffIds: readonly Digest[]): Promise<readonly LayerId[]>;
  /** A blob made from the layer, by the variant it was made in (compression and its parameters). */
  blob(layer: LayerId, variant: string): MadeLayer | undefined;
  setBlob(layer: LayerId, variant: string, made: MadeLayer): Promise<void>;
  /** The digest noted for SELECTOR of TREE, if there is one. */
  knownContent(tree: Tree, selector: string): Digest | undefined;
  /** The digest of what SELECTOR selects of TREE, computed once. */
  content(tree: Tree, selector: string, compute: () => Promise<Digest>): Promise<Digest>;
}

/** A layer's blob, and what packed it (`zlib 1.3.1`), where something did. */
export interface MadeLayer extends Layer {
  readonly encoder?: string | undefined;
}

export interface LayerInfo {
  readonly state: "active" | "ready" | "lazy";
  readonly diffId: Digest | undefined;
  /** Of an image's layer: its own blob. */
  readonly image: KnownLayer | undefined;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

type LayerRow = {
  readonly id: number;
  readonly state: LayerInfo["state"];
  readonly diff_id: Digest | null;
  readonly blob: string | null;
  readonly origin: string | null;
  readonly size_bytes: number;
  readonly created_at: number;
  readonly stamp: string | null;
};

/** How long the end of an engine may be held up by files that nobody needs any more. Milliseconds. */
const REMOVALS_MS = 300;
/** What another engine may as well do isn't waited for. */
const BRIEFLY = { patienceMs: 500 } as const;
const LAYER_COLUMNS = "id, state, diff_id, blob, origin, size_bytes, created_at, stamp";
const INSERT_LAZY = `INSERT INTO layer (state, chain_id, diff_id, blob, origin, boot_id, created_at)
  VALUES ('lazy', ?, ?, ?, ?, ?, ?) RETURNING id`;
/** More places of one blob are not remembered. */
const ORIGINS_MAX = 8;

function originsOf(row: LayerRow): readonly string[] {
  return row.origin === null ? [] : (JSON.parse(row.origin) as string[]);
}

export interface LayerStoreOptions {
  readonly database: Database;
  readonly plane: DataPlane;
  readonly dirs: StateDirs;
  readonly owner: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly fetch: FetchLayer;
  /** Whether a blob is on this disk. */
  readonly isStored: (blob: Digest) => boolean;
}

export function createLayerStore(options: LayerStoreOptions): LayerStore {
  return new Layers(options);
}

/** Past 300 lines with its port: every statement on the layer table stands here. */
class Layers implements LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #database: Database;
  readonly #puller: LayerPuller;
  readonly #removals = new Set<Promise<void>>();

  constructor(options: LayerStoreOptions) {
    this.#options = options;
    this.#database = options.database;
    this.#puller = new LayerPuller(this, options);
  }

  async create(parents: Tree): Promise<Workspace> {
    const layer = await this.#allocate();
    await this.#options.plane.control("createLayer", { layer, parents });
    return { layer, parents };
  }

  async #allocate(): Promise<LayerId> {
    return this.#database.transaction(() => this.#insertActive());
  }

  #insertActive(): LayerId {
    const { owner, clock, bootId } = this.#options;
    const insert = "INSERT INTO layer (state, owner, boot_id, created_at) VALUES ('active', ?, ?, ?) RETURNING id";
    return this.#inserted(insert, owner, bootId, clock.now());
  }

  /** The number of a new row, whose place is free: a database that was lost, or is older than the layers, gives numbers once more. */
  #inserted(insert: string, ...params: readonly SqlValue[]): LayerId {
    for (;;) {
      const row = this.#database.get<{ id: LayerId }>(insert, ...params);
      if (!row) throw new EngineError("internal", "no number for a new layer");
      if (!hasPlace(this.#options.dirs, row.id)) return row.id;
      this.#database.run("DELETE FROM layer WHERE id = ?", row.id);
      const highest = highestPlace(this.#options.dirs);
      this.#database.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'layer'", highest);
    }
  }

  async commit(workspace: Workspace, options: AbortOptions = {}): Promise<Tree> {
    return this.seal(workspace, await this.#options.plane.run("commitLayer", workspace, options));
  }

  async seal({ layer, parents }: Workspace, { sizeBytes, stamp, shape }: LayerSummary): Promise<Tree> {
    const update = "UPDATE layer SET state = 'ready', size_bytes = ?, stamp = ?, shape = ? WHERE id = ?";
    await this.#database.transaction(() => this.#database.run(update, sizeBytes, stamp, shape, layer));
    return [...parents, layer];
  }

  async abandon({ layer }: Workspace): Promise<void> {
    const removal = this.#discard(layer);
    this.#removals.add(removal);
    removal.finally(() => this.#removals.delete(removal)).catch(() => {}); // what is left is swept when this engine is gone
  }

  async #discard(layer: LayerId): Promise<void> {
    await this.#options.plane.run("removeLayers", { layers: [layer] });
    await this.#database.transaction(() =>
      this.#database.run("DELETE FROM layer WHERE id = ? AND state = 'active'", layer),
    );
  }

  async takeOver(dead: readonly string[]): Promise<void> {
    const { owner } = this.#options;
    const layers = await this.#database.transaction(() => {
      for (const each of dead) {
        this.#database.run("DELETE FROM lease WHERE owner = ?", each);
        this.#database.run("UPDATE layer SET owner = ? WHERE owner = ? AND state = 'active'", owner, each);
        this.#database.run("UPDATE layer SET owner = NULL WHERE owner = ?", each);
      }
      return this.#database.all<{ id: number }>("SELECT id FROM layer WHERE owner = ? AND state = 'active'", owner);
    }, BRIEFLY);
    for (const { id } of layers) await this.abandon({ layer: id, parents: [] });
  }

  owners(): readonly string[] {
    const rows = this.#database.all<{ owner: string }>(
      "SELECT owner FROM layer WHERE owner IS NOT NULL UNION SELECT owner FROM lease",
    );
    return rows.map(({ owner }) => owner);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#removals.size > 0)
      await Promise.race([Promise.allSettled(this.#removals), delay(REMOVALS_MS, undefined, { ref: false })]);
    const { owner } = this.#options;
    if (!this.owners().includes(owner)) return;
    const ended = this.#database.transaction(() => {
      this.#database.run("DELETE FROM lease WHERE owner = ?", owner);
      this.#database.run("UPDATE layer SET owner = NULL WHERE owner = ? AND state <> 'active'", owner);
    });
    await unlessHeld(ended);
  }

  async remove(tree: Tree): Promise<void> {
    const layer = tree.at(-1);
    if (layer === undefined) return;
    // The row goes first: nobody may find a layer of which only part is left.
    await this.#database.transaction(() => this.#database.run("DELETE FROM layer WHERE id = ?", layer));
    await this.#options.plane.run("removeLayers", { layers: [layer] });
  }

  async adopt(layers: readonly ImageLayer[], build: string): Promise<Tree> {
    const { owner, clock, bootId } = this.#options;
    return this.#displacing(() => {
      const tree: LayerId[] = [];
      let chain: Digest | undefined;
      for (const { diffId, descriptor, origin, createdAt = clock.now() } of layers) {
        chain = chainOf(chain, diffId);
        const place = { descriptor, origin };
        const known = this.#database.get<LayerRow>(`SELECT ${LAYER_COLUMNS} FROM layer WHERE chain_id = ?`, chain);
        const blob = [JSON.stringify(descriptor), JSON.stringify([origin])];
        const id = known?.id ?? this.#inserted(INSERT_LAZY, chain, diffId, ...blob, bootId, createdAt);
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
    this.#database.run(update, JSON.stringify(descriptor), JSON.stringify([origin]), row.id);
    this.#unplace(row.id);
  }

  /** A layer that is not on this disk any more; what is in its place is now another's, which is to be abandoned. */
  #unplace(layer: LayerId): void {
    const { dirs } = this.#options;
    if (hasPlace(dirs, layer)) {
      const rest = this.#insertActive();
      movePlace(dirs, layer, rest);
      this.#displaced.push(rest);
    }
    const update = "UPDATE layer SET state = 'lazy', size_bytes = 0, stamp = NULL, shape = NULL WHERE id = ?";
    this.#database.run(update, layer);
  }
  readonly #displaced: LayerId[] = [];

  /** Runs WORK as a transaction, and abandons what that displaces; if it fails, what has been moved is nobody's, and goes with a prune. */
  async #displacing<T>(work: () => T): Promise<T> {
    const [result, displaced] = await this.#database.transaction(() => {
      this.#displaced.length = 0;
      return [work(), this.#displaced.splice(0)] as const;
    });
    for (const layer of displaced) await this.abandon({ layer, parents: [] });
    return result;
  }

  async mend(layers: Iterable<LayerId>): Promise<readonly LayerId[]> {
    const damaged = [...layers].filter((layer) => this.#isDamaged(layer));
    if (damaged.length === 0) return [];
    return this.#displacing(() =>
      damaged.filter((layer) => {
        if (!this.#isDamaged(layer)) return false; // somebody else was faster
        const { origin } = this.#row(layer);
        if (origin !== null) this.#unplace(layer);
        return origin === null;
      }),
    );
  }

  #isDamaged(layer: LayerId): boolean {
    const select = "SELECT id, stamp FROM layer WHERE id = ? AND state = 'ready'";
    const row = this.#database.get<{ id: LayerId; stamp: string | null }>(select, layer);
    return row !== undefined && !isAsItWas(this.#options.dirs, row);
  }

  async distrust(layer: LayerId): Promise<void> {
    const update = "UPDATE layer SET stamp = ? WHERE id = ? AND state = 'ready'";
    await this.#database.transaction(() => this.#database.run(update, DAMAGED_STAMP, layer));
  }

  async release(build: string): Promise<void> {
    if (!this.#database.get("SELECT 1 FROM lease WHERE build = ? LIMIT 1", build)) return;
    await unlessHeld(this.#database.transaction(() => this.#database.run("DELETE FROM lease WHERE build = ?", build)));
  }

  ensure(tree: Tree, options: EnsureOptions = {}): Promise<void> {
    return this.#puller.ensure(tree, options);
  }

  /** The same content may have other blobs elsewhere: a place counts only if it has this one. */
  #addOrigin(row: LayerRow, { descriptor, origin }: Pick<ImageLayer, "descriptor" | "origin">): void {
    const known = originsOf(row);
    const blob = row.blob === null ? undefined : (JSON.parse(row.blob) as Descriptor);
    const isSame = blob?.digest === descriptor.digest && blob.size === descriptor.size;
    if (!isSame || known.includes(origin) || known.length >= ORIGINS_MAX) return;
    this.#database.run("UPDATE layer SET origin = ? WHERE id = ?", JSON.stringify([...known, origin]), row.id);
  }

  known(layers: readonly Layer[]): readonly (LayerInfo | undefined)[] {
    let chain: Digest | undefined;
    return layers.map(({ diffId }) => {
      chain = chainOf(chain, diffId);
      const row = this.#database.get<{ id: number }>("SELECT id FROM layer WHERE chain_id = ?", chain);
      return row && this.info(row.id);
    });
  }

  info(layer: LayerId): LayerInfo {
    const row = this.#row(layer);
    const diffId = row.diff_id ?? undefined;
    const image =
      row.blob && diffId
        ? { descriptor: JSON.parse(row.blob) as Descriptor, diffId, origins: originsOf(row) }
        : undefined;
    return { state: row.state, diffId, image, sizeBytes: row.size_bytes, createdAt: row.created_at };
  }

  #row(layer: LayerId): LayerRow {
    const row = this.#database.get<LayerRow>(`SELECT ${LAYER_COLUMNS} FROM layer WHERE id = ?`, layer);
    if (!row) throw new EngineError("data-loss", `layer ${layer} is gone`);
    return row;
  }

  async setDiffId(layer: LayerId, diffId: Digest): Promise<void> {
    await this.#database.transaction(() =>
      this.#database.run("UPDATE layer SET diff_id = ? WHERE id = ?", diffId, layer),
    );
  }

  async setChain(tree: Tree, diffIds: readonly Digest[]): Promise<readonly LayerId[]> {
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
        return this.#database.get("SELECT 1 FROM layer WHERE chain_id = ?", chain) === undefined;
      });
    });
  }

  /** A layer that has lost its files gives the name CHAIN to LAYER. */
  #unnameLost(chain: Digest, layer: LayerId): void {
    const holder = this.#database.get<{ id: LayerId }>("SELECT id FROM layer WHERE chain_id = ?", chain);
    if (holder && holder.id !== layer && this.#isDamaged(holder.id))
      this.#database.run("UPDATE layer SET chain_id = NULL WHERE id = ?", holder.id);
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

/** The end of CLEANING, which is left to the sweep of dead owners where another process holds the database for too long. */
async function unlessHeld(cleaning: Promise<unknown>): Promise<void> {
  try {
    await cleaning;
  } catch (error) {
    if (errorCode(error) !== "unavailable") throw error;
  }
}

/** The name of a layer by what it and all below it hold (image-spec, config, "Layer ChainID"). */
function chainOf(below: Digest | undefined, diffId: Digest): Digest {
  return below ? digestOf(`${below} ${diffId}`) : diffId;
}
