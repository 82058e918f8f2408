import fs from "node:fs";
import path from "node:path";
import type { AbortOptions, Digest } from "../base/index.js";
import type { Descriptor } from "../oci/index.js";
import { ownerIsAlive } from "../snapshot/index.js";
import { leasedLayers } from "./garbage.js";
import { imageContents } from "./image-contents.js";
import type { PruneEngine } from "./prune.js";
import { bytesOnDisk, bytesOnDiskBelow, namesIn } from "./room.js";

/** A layer's number, or a blob's digest. */
export type Unit = number | Digest;

/** A layer as the database has it; those of cache mounts are not among them. */
export type LayerRow = {
  readonly id: number;
  readonly state: "active" | "ready" | "lazy";
  readonly chain_id: Digest | null;
  readonly blob: string | null;
  readonly origin: string | null;
  readonly size_bytes: number;
  readonly created_at: number;
  readonly owner: string | null;
};

/** The layers and blobs of a state directory: who needs which, when that was last used, and what has been counted of them. */
export class StoredUnits {
  /** What each takes on disk, in bytes, once it is measured. */
  readonly sizes = new Map<Unit, number>();
  /** Layers that running builds need. */
  readonly pinned: ReadonlySet<number>;
  readonly #engine: PruneEngine;
  readonly layers: ReadonlyMap<number, LayerRow>;
  /** The blobs of each layer. */
  readonly #blobs = new Map<number, Digest[]>();
  readonly #byChain = new Map<Digest, number>();
  /** Layers and blobs that are counted with something. */
  readonly #counted = new Set<Unit>();
  /** When what needs a unit was last used. */
  readonly #usedAt = new Map<Unit, number>();

  constructor(engine: PruneEngine) {
    this.#engine = engine;
    const { database, dirs } = engine;
    const rows = database.all<LayerRow>(
      "SELECT id, state, chain_id, blob, origin, size_bytes, created_at, owner FROM layer WHERE id NOT IN (SELECT layer FROM cache_mount)",
    );
    this.layers = new Map(rows.map((row) => [row.id, row]));
    for (const { id, chain_id, blob } of rows) {
      if (chain_id) this.#byChain.set(chain_id, id);
      if (blob) this.#blobs.set(id, [(JSON.parse(blob) as { digest: Digest }).digest]);
    }
    for (const { layer, descriptor } of database.all<{ layer: number; descriptor: string }>(
      "SELECT layer, descriptor FROM layer_blob",
    )) {
      const { digest } = (JSON.parse(descriptor) as { descriptor: { digest: Digest } }).descriptor;
      this.#blobs.set(layer, [...(this.#blobs.get(layer) ?? []), digest]);
    }
    const needed = rows.filter(({ owner, state }) =>
      owner === engine.owner ? state === "active" : owner && ownerIsAlive(dirs.owners, owner),
    );
    this.pinned = new Set([...leasedLayers(engine), ...needed.map(({ id }) => id)]);
  }

  /** Finds out what they take on disk. */
  async measure(options: AbortOptions): Promise<void> {
    const { store, dirs, plane } = this.#engine;
    const growing = [...this.layers.values()].flatMap(({ id, state }) => (state === "active" ? [id] : []));
    const rooms = growing.length > 0 ? await plane.run("measureRoom", { layers: growing }, options) : [];
    const grown = new Map(rooms.map(({ sizeBytes }, i) => [growing[i], sizeBytes]));
    for (const { id, size_bytes } of this.layers.values()) {
      const home = path.join(dirs.layers, String(id));
      this.sizes.set(id, fs.existsSync(home) ? (grown.get(id) ?? size_bytes) + aroundLayer(home) : 0);
    }
    for await (const { digest } of store.walk(options)) this.sizes.set(digest, bytesOnDisk(store.path(digest)));
  }

  /** What an image needs. Its documents are read once. */
  ofImage(target: Descriptor): Promise<readonly Unit[]> {
    const known = this.#ofImages.get(target.digest);
    if (known) return known;
    const units = this.#contentsOf(target);
    this.#ofImages.set(target.digest, units);
    return units;
  }
  readonly #ofImages = new Map<Digest, Promise<readonly Unit[]>>();

  async #contentsOf(target: Descriptor): Promise<readonly Unit[]> {
    const { blobs, chains } = await imageContents([target], this.#engine.store);
    const layers = [...chains].flatMap((chain) => this.#byChain.get(chain) ?? []);
    return [...blobs, ...layers.flatMap((layer) => this.withBlobs(layer))];
  }

  /** A layer, and the blobs that it is packed in. */
  withBlobs(layer: number): readonly Unit[] {
    return [layer, ...(this.#blobs.get(layer) ?? [])];
  }

  /** Whether it is a blob that is no layer: a manifest, say. */
  isDocument(unit: Unit): boolean {
    this.#layerBlobs ??= new Set([...this.#blobs.values()].flat());
    return typeof unit !== "number" && !this.#layerBlobs.has(unit);
  }
  #layerBlobs: ReadonlySet<Unit> | undefined;

  /** Whether any of a layer is on this disk. */
  isHere(layer: number): boolean {
    return this.sizes.get(layer) !== 0 || (this.#blobs.get(layer)?.some((blob) => this.sizes.has(blob)) ?? false);
  }

  isCounted(unit: Unit): boolean {
    return this.#counted.has(unit);
  }

  uncountedBlobs(): readonly Unit[] {
    return [...this.sizes.keys()].filter((unit) => typeof unit !== "number" && !this.#counted.has(unit));
  }

  /** When what needs it was last used; undefined where nothing is known to. */
  usedAt(unit: Unit): number | undefined {
    return this.#usedAt.get(unit);
  }

  /** Makes a note that what needs UNITS was used. */
  note(units: readonly Unit[], usedAt: number): void {
    for (const unit of units) this.#usedAt.set(unit, Math.max(usedAt, this.#usedAt.get(unit) ?? 0));
  }

  /** The bytes of those that were not counted yet; now they are. */
  count(units: readonly Unit[]): number {
    let sum = 0;
    for (const unit of units) {
      if (this.#counted.has(unit)) continue;
      this.#counted.add(unit);
      sum += this.sizes.get(unit) ?? 0;
    }
    return sum;
  }
}

/** What a layer's directory takes beside the files of the layer. */
export function aroundLayer(home: string): number {
  const own = bytesOnDisk(home) + bytesOnDisk(path.join(home, "fs"));
  const extra = namesIn(home).filter((name) => name !== "fs");
  return extra.reduce((sum, name) => sum + bytesOnDiskBelow(path.join(home, name), { linked: false }), own);
}
