import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, type Clock, type Digest, errorCode } from "../base/index.js";
import type { Descriptor, Layer } from "../oci/index.js";
import type { Database } from "../store/index.js";
import type { DataPlane } from "./data-plane.js";
import { ImageLayers } from "./image-layers.js";
import { DAMAGED_STAMP } from "./layer-files.js";
import { LayerPuller } from "./layer-pull.js";
import { type LayerRow, LayerRows, originsOf } from "./layer-rows.js";
import { LayerYield } from "./layer-yield.js";
import type { StateDirs } from "./state-dirs.js";
import type { LayerId, Tree, Workspace } from "./tree.js";
import type { JobProgress } from "./worker/context.js";
import type { LayerSummary } from "./worker/layer-measure.js";

/** A layer of an image, and where its blob can be had: an opaque text that the fetcher understands. */
export interface ImageLayer extends Layer {
  /** Undefined: nowhere but here. */
  readonly origin: string | undefined;
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
  /**
   * Has those of the layers LOST, which aren't on this disk, fetched from where they are as layers of one of IMAGES.
   */
  relocate(lost: readonly LayerId[], images: readonly (readonly ImageLayer[])[]): Promise<Relocation>;
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

/** What became of layers that can't be had where they were seen. */
export interface Relocation {
  /** Those that have another place now. */
  readonly moved: readonly LayerId[];
  /** Those that no image has. Any other is an image's, which has it where it was seen. */
  readonly left: readonly LayerId[];
}

/** A layer's blob, and what packed it (`zlib 1.3.1`), where something did. */
export interface MadeLayer extends Layer {
  readonly encoder?: string | undefined;
}

export interface LayerInfo {
  readonly state: LayerRow["state"];
  readonly diffId: Digest | undefined;
  /** Of an image's layer: its own blob. */
  readonly image: KnownLayer | undefined;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** How long the end of an engine may be held up by files that nobody needs any more. Milliseconds. */
const REMOVALS_MS = 300;
/** What another engine may as well do isn't waited for. */
const BRIEFLY = { patienceMs: 500 } as const;

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

/** The lives of layers; what images and others know of them stands elsewhere. */
class Layers implements LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #database: Database;
  readonly #rows: LayerRows;
  readonly #images: ImageLayers;
  readonly #yield: LayerYield;
  readonly #puller: LayerPuller;
  readonly #removals = new Set<Promise<void>>();

  constructor(options: LayerStoreOptions) {
    this.#options = options;
    this.#database = options.database;
    this.#rows = new LayerRows(options, (layer) => this.abandon({ layer, parents: [] }));
    this.#images = new ImageLayers(options, this.#rows);
    this.#yield = new LayerYield(options.database);
    this.#puller = new LayerPuller(this, options);
  }

  async create(parents: Tree): Promise<Workspace> {
    const layer = await this.#database.transaction(() => this.#rows.insertActive());
    await this.#options.plane.control("createLayer", { layer, parents });
    return { layer, parents };
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

  async mend(layers: Iterable<LayerId>): Promise<readonly LayerId[]> {
    const damaged = [...layers].filter((layer) => this.#rows.isDamaged(layer));
    if (damaged.length === 0) return [];
    return this.#rows.displacing(() =>
      damaged.filter((layer) => {
        if (!this.#rows.isDamaged(layer)) return false; // somebody else was faster
        const { origin } = this.#rows.get(layer);
        if (origin !== null) this.#rows.unplace(layer);
        return origin === null;
      }),
    );
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

  info(layer: LayerId): LayerInfo {
    return infoOf(this.#rows.get(layer));
  }

  adopt(layers: readonly ImageLayer[], build: string): Promise<Tree> {
    return this.#images.adopt(layers, build);
  }

  relocate(lost: readonly LayerId[], images: readonly (readonly ImageLayer[])[]): Promise<Relocation> {
    return this.#images.relocate(lost, images);
  }

  known(layers: readonly Layer[]): readonly (LayerInfo | undefined)[] {
    return this.#images.known(layers).map((row) => row && infoOf(row));
  }

  setChain(tree: Tree, diffIds: readonly Digest[]): Promise<readonly LayerId[]> {
    return this.#images.setChain(tree, diffIds);
  }

  async setDiffId(layer: LayerId, diffId: Digest): Promise<void> {
    await this.#database.transaction(() =>
      this.#database.run("UPDATE layer SET diff_id = ? WHERE id = ?", diffId, layer),
    );
  }

  blob(layer: LayerId, variant: string): MadeLayer | undefined {
    return this.#yield.blob(layer, variant);
  }

  setBlob(layer: LayerId, variant: string, made: MadeLayer): Promise<void> {
    return this.#yield.setBlob(layer, variant, made);
  }

  knownContent(tree: Tree, selector: string): Digest | undefined {
    return this.#yield.knownContent(tree, selector);
  }

  content(tree: Tree, selector: string, compute: () => Promise<Digest>): Promise<Digest> {
    return this.#yield.content(tree, selector, compute);
  }
}

function infoOf(row: LayerRow): LayerInfo {
  const diffId = row.diff_id ?? undefined;
  const image =
    row.blob && diffId
      ? { descriptor: JSON.parse(row.blob) as Descriptor, diffId, origins: originsOf(row) }
      : undefined;
  return { state: row.state, diffId, image, sizeBytes: row.size_bytes, createdAt: row.created_at };
}

/** The end of CLEANING, which is left to the sweep of dead owners where another process holds the database for too long. */
async function unlessHeld(cleaning: Promise<unknown>): Promise<void> {
  try {
    await cleaning;
  } catch (error) {
    if (errorCode(error) !== "unavailable") throw error;
  }
}
