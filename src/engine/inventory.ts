import fs from "node:fs";
import path from "node:path";
import { type AbortOptions, digestOf, hexOf } from "../base/index.js";
import { leasedRecords, type StoredCacheMount, shownCacheMountId, type UsageEntry } from "../cache/index.js";
import { familiarReference, parseReference } from "../oci/index.js";
import { listStepLogs } from "../ops/index.js";
import { isAsItWas, ownerIsAlive } from "../snapshot/index.js";
import type { StoredEntry } from "../store/index.js";
import { strayLayers } from "./garbage.js";
import type { PruneEngine } from "./prune.js";
import { bytesOnDisk, bytesOnDiskBelow, namesIn } from "./room.js";
import { aroundLayer, StoredUnits, type Unit } from "./stored-units.js";

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
  const units = new StoredUnits(engine);
  await units.measure(options);
  const inventory = new Inventor(engine, units);
  inventory.noteRecords();
  await inventory.addImages();
  inventory.addRecords();
  inventory.addUnits();
  await inventory.addMounts(options);
  inventory.addRest();
  const { items } = inventory;
  const { sizes, pinned } = units;
  const totalBytes = items.reduce((sum, { entry }) => sum + entry.sizeBytes, 0);
  return { items, sizes, pinned, totalBytes };
}

class Inventor {
  readonly items: StoredItem[] = [];
  readonly #engine: PruneEngine;
  readonly #units: StoredUnits;
  readonly #layersOf = new Map<string, number[]>();
  /** What images with names need. */
  readonly #shared = new Set<Unit>();

  constructor(engine: PruneEngine, units: StoredUnits) {
    this.#engine = engine;
    this.#units = units;
  }

  noteRecords(): void {
    const { database } = this.#engine;
    const rows = database.all<{ record: string; layer: number; used_at: number }>(
      "SELECT record, layer, used_at FROM record_layer JOIN record ON record.id = record",
    );
    for (const { record, layer, used_at } of rows) {
      const layers = this.#layersOf.get(record) ?? [];
      layers.push(layer);
      this.#layersOf.set(record, layers);
      this.#units.note([layer], used_at);
    }
  }

  /** References come first: what a registry's name stands for is not the image's that has it, too. */
  async addImages(): Promise<void> {
    const { images, references } = this.#engine;
    const listed = images.list();
    for (const entry of listed.filter(({ name }) => name !== undefined)) {
      const units = await this.#units.ofImage(entry.target);
      for (const unit of units) this.#shared.add(unit);
    }
    for (const { name, target, resolvedAt } of references.list()) {
      const units = await this.#units.ofImage(target);
      const entry = this.#entry({
        id: REFERENCES,
        type: "regular",
        description: "what names in registries stood for",
        sizeBytes: this.#units.count(units.filter((unit) => this.#units.isDocument(unit))),
        createdAt: resolvedAt,
        lastUsedAt: Math.max(resolvedAt, ...units.map((unit) => this.#units.usedAt(unit) ?? 0)),
      });
      this.items.push({ entry, thing: { kind: "reference", name }, units });
    }
    for (const entry of listed) await this.#addImage(entry);
  }

  async #addImage(image: StoredEntry): Promise<void> {
    const { name, target, updatedAt } = image;
    const units = await this.#units.ofImage(target);
    this.#units.note(units, updatedAt);
    const entry = this.#entry({
      id: shortened(hexOf(image.platforms[0]?.imageId ?? target.digest)),
      type: "image",
      description: name === undefined ? "image without a name" : familiarReference(parseReference(name)),
      sizeBytes: this.#units.count(units.filter((unit) => this.#units.isDocument(unit))),
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
      const own = layers.filter((layer) => !this.#units.layers.get(layer)?.origin);
      const units = own.flatMap((layer) => this.#units.withBlobs(layer));
      const tops = (JSON.parse(row.results) as number[][]).flatMap((tree) => tree.slice(-1));
      const parents = layers.flatMap((layer) => (tops.includes(layer) ? [] : (makers.get(layer) ?? [])));
      for (const layer of own) if (!makers.has(layer)) makers.set(layer, row.id);
      const entry = this.#entry({
        id: row.id,
        type: "regular",
        description: row.description,
        sizeBytes: this.#units.count(units),
        createdAt: row.created_at,
        // What stands on it needs it, too: it was used when that was.
        lastUsedAt: Math.max(row.used_at, ...tops.map((top) => this.#units.usedAt(top) ?? 0)),
        inUse: leased.has(row.id),
        shared: tops.length > 0 && tops.every((top) => this.#shared.has(top)),
        parents: parents.slice(-1),
      });
      this.items.push({
        entry,
        thing: { kind: "record", id: row.id },
        units: layers.flatMap((layer) => this.#units.withBlobs(layer)),
      });
    }
  }

  /** Layers of images, and what no record has. */
  addUnits(): void {
    for (const { id, state, chain_id, origin, created_at } of this.#units.layers.values()) {
      if (this.#units.isCounted(id) || !this.#units.isHere(id)) continue;
      const [from] = origin ? (JSON.parse(origin) as string[]) : [];
      const isShared = this.#shared.has(id);
      const units = this.#units.withBlobs(id);
      const entry = this.#entry({
        id: chain_id ? shortened(hexOf(chain_id)) : `layer-${id}`,
        type: from === undefined && isShared ? "image" : "regular",
        description: from !== undefined ? `pulled from ${from}` : state === "active" ? "layer in the making" : "layer",
        sizeBytes: this.#units.count(units),
        createdAt: created_at,
        lastUsedAt: this.#units.usedAt(id) ?? created_at,
        inUse: isShared || this.#units.pinned.has(id),
        shared: isShared,
      });
      this.items.push({ entry, thing: { kind: "unit" }, units });
    }
    const now = this.#engine.clock.now();
    const { layers } = this.#engine.dirs;
    const strays = strayLayers(this.#engine);
    if (strays.length > 0) {
      const sizes = strays.map((id) => bytesOnDiskBelow(path.join(layers, String(id))));
      const sizeBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
      const stray = { id: "layers", type: "internal", description: "layers that nothing knows" } as const;
      const entry = this.#entry({ ...stray, sizeBytes, createdAt: now, lastUsedAt: now });
      this.items.push({ entry, thing: { kind: "unit" }, units: [] });
    }
    const blobs = this.#units.uncountedBlobs();
    if (blobs.length === 0) return;
    const description = "blobs that nothing names";
    const entry = { id: "blobs", type: "internal", description, createdAt: now, lastUsedAt: now } as const;
    this.items.push({
      entry: this.#entry({ ...entry, sizeBytes: this.#units.count(blobs) }),
      thing: { kind: "unit" },
      units: blobs,
    });
  }

  async addMounts(options: AbortOptions): Promise<void> {
    const { cacheMounts, plane, dirs } = this.#engine;
    for (const mount of cacheMounts.list()) {
      const inUse = cacheMounts.isInUse(mount);
      const { layer, sizeBytes: known } = mount;
      const isHere = isAsItWas(dirs, { id: layer, stamp: null });
      const measure = async () => (await plane.run("measureRoom", { layers: [layer] }, options))[0]?.sizeBytes ?? 0;
      const measured = known ?? (isHere ? await measure() : 0);
      const content = isHere ? measured : 0;
      if (known === undefined && isHere && !inUse) await cacheMounts.noteSize(mount, content);
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
    add(METADATA_ID, "the database of records", database);
    add("directories", "the state directory itself, and what is under way", ownBytes(this.#engine));
  }

  #addFile(what: Pick<UsageEntry, "id" | "type" | "description">, file: string, at: number): void {
    const entry = this.#entry({ ...what, sizeBytes: bytesOnDisk(file), createdAt: at, lastUsedAt: at });
    this.items.push({ entry, thing: { kind: "file", file }, units: [] });
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
/** The database, which grows by what is noted in it however much is removed. */
export const METADATA_ID = "metadata";
const REFERENCES = "references";
/** Hex digits of a digest that stands for an entry. */
const ID_LENGTH = 24;

function shortened(hex: string): string {
  return hex.slice(0, ID_LENGTH);
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
