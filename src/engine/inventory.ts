import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, type Digest, digestOf, hexOf, systemCode } from "../base/index.js";
import { leasedRecords, type StoredCacheMount, shownCacheMountId, type UsageEntry } from "../cache/index.js";
import { familiarReference, parseReference } from "../oci/index.js";
import { listStepLogs } from "../ops/index.js";
import { ownerIsAlive } from "../snapshot/index.js";
import type { StoredEntry } from "../store/index.js";
import { leasedLayers } from "./garbage.js";
import { imageContents } from "./image-contents.js";
import type { PruneEngine } from "./prune.js";
import { bytesOnDisk, bytesOnDiskBelow } from "./room.js";

/** What can be removed, or stays. */
export type StoredThing =
  | { readonly kind: "record"; readonly id: string }
  | { readonly kind: "reference"; readonly name: string }
  | { readonly kind: "image"; readonly entry: StoredEntry }
  | { readonly kind: "mount"; readonly mount: StoredCacheMount }
  | { readonly kind: "git"; readonly id: string }
  | { readonly kind: "file"; readonly file: string }
  /** A layer or blob that things above may need: it goes with the last of them. */
  | { readonly kind: "unit" }
  /** What the engine works with. */
  | { readonly kind: "fixed" };

/** Something that takes room, and the layers and blobs that it needs. */
export interface StoredItem {
  readonly entry: UsageEntry;
  readonly thing: StoredThing;
  readonly units: readonly Unit[];
}

/** A layer's number, or a blob's digest. */
export type Unit = number | Digest;

export interface Inventory {
  readonly items: readonly StoredItem[];
  /** What each layer and blob takes on disk. */
  readonly sizes: ReadonlyMap<Unit, number>;
  /** Layers that running builds need. */
  readonly pinned: ReadonlySet<Unit>;
  readonly totalBytes: number;
}

/** Lists all that takes room in the state directory; what several need is counted once. Files are looked at, none is read but manifests. */
export async function takeInventory(engine: PruneEngine, options: AbortOptions = {}): Promise<Inventory> {
  const inventory = new Inventor(engine);
  await inventory.sizeUnits(options);
  inventory.noteRecords();
  await inventory.addImages();
  inventory.addRecords();
  inventory.addUnits();
  await inventory.addMounts(options);
  inventory.addRest();
  const { items, sizes, pinned } = inventory;
  const totalBytes = items.reduce((sum, { entry }) => sum + entry.sizeBytes, 0);
  return { items, sizes, pinned, totalBytes };
}

type LayerRow = {
  readonly id: number;
  readonly chain_id: Digest | null;
  readonly blob: string | null;
  readonly origin: string | null;
  readonly size_bytes: number;
  readonly created_at: number;
  readonly owner: string | null;
};

class Inventor {
  readonly items: StoredItem[] = [];
  readonly sizes = new Map<Unit, number>();
  readonly pinned: ReadonlySet<number>;
  readonly #engine: PruneEngine;
  readonly #layers: ReadonlyMap<number, LayerRow>;
  /** The blobs of each layer. */
  readonly #blobs = new Map<number, Digest[]>();
  readonly #layersOf = new Map<string, number[]>();
  readonly #byChain = new Map<Digest, number>();
  /** Layers and blobs that are counted with something. */
  readonly #counted = new Set<Unit>();
  /** When what needs a unit was last used. */
  readonly #usedAt = new Map<Unit, number>();
  /** What images with names need. */
  readonly #shared = new Set<Unit>();

  constructor(engine: PruneEngine) {
    this.#engine = engine;
    const { database, dirs } = engine;
    const rows = database.all<LayerRow>(
      "SELECT id, chain_id, blob, origin, size_bytes, created_at, owner FROM layer WHERE id NOT IN (SELECT layer FROM cache_mount)",
    );
    this.#layers = new Map(rows.map((row) => [row.id, row]));
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
    const others = rows.filter(({ owner }) => owner && owner !== engine.owner && ownerIsAlive(dirs.owners, owner));
    this.pinned = new Set([...leasedLayers(engine), ...others.map(({ id }) => id)]);
  }

  async sizeUnits(options: AbortOptions): Promise<void> {
    const { store, dirs } = this.#engine;
    for (const { id, size_bytes } of this.#layers.values()) {
      const home = path.join(dirs.layers, String(id));
      this.sizes.set(id, fs.existsSync(home) ? size_bytes + aroundLayer(home) : 0);
    }
    for await (const { digest } of store.walk(options)) this.sizes.set(digest, bytesOnDisk(store.path(digest)));
  }

  noteRecords(): void {
    const { database } = this.#engine;
    const rows = database.all<{ record: string; layer: number; used_at: number }>(
      "SELECT record, layer, used_at FROM record_layer JOIN record ON record.id = record",
    );
    for (const { record, layer, used_at } of rows) {
      this.#layersOf.set(record, [...(this.#layersOf.get(record) ?? []), layer]);
      this.#note([layer], used_at);
    }
  }

  /** References come first: what a registry's name stands for is not the image's that has it, too. */
  async addImages(): Promise<void> {
    const { images, references, store } = this.#engine;
    const listed = images.list();
    for (const entry of listed.filter(({ name }) => name !== undefined)) {
      const units = await this.#unitsOf(entry);
      for (const unit of units) this.#shared.add(unit);
    }
    for (const { name, target, resolvedAt } of references.list()) {
      const units = this.#unitsOfContents(await imageContents([target], store));
      const entry = this.#entry({
        id: REFERENCES,
        type: "regular",
        description: "what names in registries stood for",
        sizeBytes: this.#count(units.filter((unit) => typeof unit !== "number" && !this.#ofLayer.has(unit))),
        createdAt: resolvedAt,
        lastUsedAt: Math.max(resolvedAt, ...units.map((unit) => this.#usedAt.get(unit) ?? 0)),
      });
      this.items.push({ entry, thing: { kind: "reference", name }, units });
    }
    for (const entry of listed) await this.#addImage(entry);
  }

  async #addImage(image: StoredEntry): Promise<void> {
    const units = await this.#unitsOf(image);
    const { name, target, updatedAt } = image;
    this.#note(units, updatedAt);
    const entry = this.#entry({
      id: shortened(hexOf(image.platforms[0]?.imageId ?? target.digest)),
      type: "image",
      description: name === undefined ? "image without a name" : familiarReference(parseReference(name)),
      sizeBytes: this.#count(units.filter((unit) => typeof unit !== "number" && !this.#ofLayer.has(unit))),
      createdAt: updatedAt,
      lastUsedAt: updatedAt,
      inUse: name !== undefined,
    });
    this.items.push({ entry, thing: { kind: "image", entry: image }, units });
  }

  /** Each layer is counted with the oldest record that has it, unless it is an image's. */
  addRecords(): void {
    const { database, dirs } = this.#engine;
    const leased = leasedRecords(database, (owner) => ownerIsAlive(dirs.owners, owner));
    const makers = new Map<number, string>();
    const rows = database.all<RecordRow>(
      "SELECT id, results, description, created_at, used_at FROM record ORDER BY created_at, length(results)",
    );
    for (const row of rows) {
      const layers = this.#layersOf.get(row.id) ?? [];
      const own = layers.filter((layer) => !this.#layers.get(layer)?.origin);
      const units = own.flatMap((layer) => this.#withBlobs(layer));
      const tops = (JSON.parse(row.results) as number[][]).flatMap((tree) => tree.slice(-1));
      const parents = layers.flatMap((layer) => (tops.includes(layer) ? [] : (makers.get(layer) ?? [])));
      for (const layer of own) if (!makers.has(layer)) makers.set(layer, row.id);
      const entry = this.#entry({
        id: row.id,
        type: "regular",
        description: row.description,
        sizeBytes: this.#count(units),
        createdAt: row.created_at,
        // What stands on it needs it, too: it was used when that was.
        lastUsedAt: Math.max(row.used_at, ...tops.map((top) => this.#usedAt.get(top) ?? 0)),
        inUse: leased.has(row.id),
        shared: tops.length > 0 && tops.every((top) => this.#shared.has(top)),
        parents: parents.slice(-1),
      });
      this.items.push({
        entry,
        thing: { kind: "record", id: row.id },
        units: layers.flatMap((layer) => this.#withBlobs(layer)),
      });
    }
  }

  /** Layers of images, and what no record has. */
  addUnits(): void {
    for (const { id, chain_id, origin, created_at } of this.#layers.values()) {
      if (
        this.#counted.has(id) ||
        (this.sizes.get(id) === 0 && !this.#blobs.get(id)?.some((blob) => this.sizes.has(blob)))
      )
        continue;
      const [from] = origin ? (JSON.parse(origin) as string[]) : [];
      const isShared = this.#shared.has(id);
      const units = this.#withBlobs(id);
      const entry = this.#entry({
        id: chain_id ? shortened(hexOf(chain_id)) : `layer-${id}`,
        type: from === undefined && isShared ? "image" : "regular",
        description: from === undefined ? "layer" : `pulled from ${from}`,
        sizeBytes: this.#count(units),
        createdAt: created_at,
        lastUsedAt: this.#usedAt.get(id) ?? created_at,
        inUse: this.pinned.has(id),
        shared: isShared,
      });
      this.items.push({ entry, thing: { kind: "unit" }, units });
    }
    const blobs = [...this.sizes.keys()].filter((unit) => typeof unit !== "number" && !this.#counted.has(unit));
    if (blobs.length === 0) return;
    const now = this.#engine.clock.now();
    const description = "blobs that nothing names";
    const entry = { id: "blobs", type: "internal", description, createdAt: now, lastUsedAt: now } as const;
    this.items.push({
      entry: this.#entry({ ...entry, sizeBytes: this.#count(blobs) }),
      thing: { kind: "unit" },
      units: blobs,
    });
  }

  async addMounts(options: AbortOptions): Promise<void> {
    const { cacheMounts, plane, dirs } = this.#engine;
    for (const mount of cacheMounts.list()) {
      const inUse = cacheMounts.isInUse(mount);
      const { layer, sizeBytes: known } = mount;
      const content = known ?? (await plane.run("measureLayer", { layer }, options)).sizeBytes;
      if (known === undefined && !inUse) await cacheMounts.noteSize(mount, content);
      const entry = this.#entry({
        id: shortened(hexOf(digestOf(`${mount.key} ${mount.slot}`))),
        type: "exec.cachemount",
        description: `cache mount ${shownCacheMountId(mount.id)}`,
        sizeBytes: content + aroundLayer(path.join(dirs.layers, String(layer))),
        createdAt: mount.createdAt,
        lastUsedAt: mount.usedAt,
        inUse,
        mutable: true,
      });
      this.items.push({ entry, thing: { kind: "mount", mount }, units: [] });
    }
  }

  /** Repositories, what is known of contexts, logs, and what the engine itself keeps. */
  addRest(): void {
    const { dirs, gitSource, clock } = this.#engine;
    for (const { id, usedAt } of gitSource.list()) {
      const times = { createdAt: usedAt, lastUsedAt: usedAt };
      const text = { id: shortened(id), type: "source.git.checkout", description: "git repository" } as const;
      const sizeBytes = bytesOnDiskBelow(path.join(dirs.git, id));
      this.items.push({
        entry: this.#entry({ ...text, sizeBytes, ...times, mutable: true }),
        thing: { kind: "git", id },
        units: [],
      });
    }
    const contexts = { id: "contexts", type: "source.local", description: "what is known of build contexts" } as const;
    for (const { file, changedAt } of filesIn(dirs.contexts)) this.#addFile(contexts, file, changedAt);
    const logs = { id: LOGS_ID, type: "internal", description: "logs of steps" } as const;
    for (const { path: file, writtenAt } of listStepLogs(dirs.logs)) this.#addFile(logs, file, writtenAt);
    const now = clock.now();
    const database = ["", "-wal", "-shm"].reduce((sum, suffix) => sum + bytesOnDisk(dirs.database + suffix), 0);
    const fixed = { type: "internal", createdAt: now, lastUsedAt: now, inUse: true } as const;
    const add = (id: string, description: string, sizeBytes: number) =>
      this.items.push({
        entry: this.#entry({ ...fixed, id, description, sizeBytes }),
        thing: { kind: "fixed" },
        units: [],
      });
    add("metadata", "the database of records", database);
    add("directories", "the state directory itself, and what is under way", ownBytes(this.#engine));
  }

  #addFile(what: Pick<UsageEntry, "id" | "type" | "description">, file: string, at: number): void {
    const entry = this.#entry({ ...what, sizeBytes: bytesOnDisk(file), createdAt: at, lastUsedAt: at });
    this.items.push({ entry, thing: { kind: "file", file }, units: [] });
  }

  async #unitsOf({ target }: StoredEntry): Promise<readonly Unit[]> {
    return this.#unitsOfContents(await imageContents([target], this.#engine.store));
  }

  #unitsOfContents({
    blobs,
    chains,
  }: {
    readonly blobs: ReadonlySet<Digest>;
    readonly chains: ReadonlySet<Digest>;
  }): readonly Unit[] {
    const layers = [...chains].flatMap((chain) => this.#byChain.get(chain) ?? []);
    return [...blobs, ...layers.flatMap((layer) => this.#withBlobs(layer))];
  }

  #withBlobs(layer: number): readonly Unit[] {
    return [layer, ...(this.#blobs.get(layer) ?? [])];
  }

  get #ofLayer(): ReadonlySet<Unit> {
    this.#layerBlobs ??= new Set([...this.#blobs.values()].flat());
    return this.#layerBlobs;
  }
  #layerBlobs: ReadonlySet<Unit> | undefined;

  #note(units: readonly Unit[], usedAt: number): void {
    for (const unit of units) this.#usedAt.set(unit, Math.max(usedAt, this.#usedAt.get(unit) ?? 0));
  }

  /** The bytes of those that were not counted yet. */
  #count(units: readonly Unit[]): number {
    let sum = 0;
    for (const unit of units) {
      if (this.#counted.has(unit)) continue;
      this.#counted.add(unit);
      sum += this.sizes.get(unit) ?? 0;
    }
    return sum;
  }

  #entry(
    entry: Pick<UsageEntry, "id" | "type" | "description" | "sizeBytes" | "createdAt" | "lastUsedAt"> &
      Partial<UsageEntry>,
  ): UsageEntry {
    return { inUse: false, shared: false, mutable: false, parents: [], ...entry };
  }
}

type RecordRow = {
  readonly id: string;
  readonly results: string;
  readonly description: string;
  readonly created_at: number;
  readonly used_at: number;
};

/** Many are listed as one under these names. */
export const LOGS_ID = "logs";
const REFERENCES = "references";
/** Hex digits of a digest that stands for an entry. */
const ID_LENGTH = 24;

function shortened(hex: string): string {
  return hex.slice(0, ID_LENGTH);
}

/** What a layer's directory takes beside the files of the layer. */
function aroundLayer(home: string): number {
  const own = bytesOnDisk(home) + bytesOnDisk(path.join(home, "fs"));
  const extra = namesIn(home).filter((name) => name !== "fs");
  return extra.reduce((sum, name) => sum + bytesOnDiskBelow(path.join(home, name), { linked: false }), own);
}

/** What is neither a layer nor a blob nor anything else that is listed. */
export function ownBytes({ dirs }: PruneEngine): number {
  const { root, database, layers, blobs, contexts, logs, git, cacheMounts, mounts, ...others } = dirs;
  const listed = [root, layers, blobs, path.join(blobs, "sha256"), contexts, logs, git].map((directory) =>
    bytesOnDisk(directory),
  );
  const known = new Set([...Object.values(dirs), ...["-wal", "-shm"].map((suffix) => database + suffix)]);
  const unknown = namesIn(root)
    .map((name) => path.join(root, name))
    .filter((file) => !known.has(file));
  const whole = [cacheMounts, mounts, path.join(layers, "empty"), ...Object.values(others), ...unknown];
  return [...listed, ...whole.map((directory) => bytesOnDiskBelow(directory))].reduce((sum, bytes) => sum + bytes, 0);
}

function filesIn(directory: string): { readonly file: string; readonly changedAt: number }[] {
  return namesIn(directory).flatMap((name) => {
    const file = path.join(directory, name);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    return stat ? [{ file, changedAt: stat.mtimeMs }] : [];
  });
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (["ENOENT", "EACCES", "ENOTDIR"].includes(systemCode(error) ?? "")) return [];
    throw error;
  }
}
