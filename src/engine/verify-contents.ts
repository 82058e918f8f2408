import { type AbortOptions, type Digest, errorCode, forAll, messageOf } from "../base/index.js";
import { shownCacheMountId } from "../cache/index.js";
import {
  type Descriptor,
  familiarReference,
  type Provider,
  parseReference,
  readImageConfig,
  readManifestOrIndex,
} from "../oci/index.js";
import { isAsItWas, type LayerId } from "../snapshot/index.js";
import { onlyLooking, type StoredEntry } from "../store/index.js";
import { chainIds } from "./image-contents.js";
import { type FinishedRow, finishedLayers, lostMounts } from "./mending.js";
import type { PruneEngine } from "./prune.js";
import type { StoreFault } from "./verify.js";

/** What doesn't hold what it did. */
export interface Damage {
  /** What is the matter with each. */
  readonly layers: ReadonlyMap<LayerId, string>;
  readonly blobs: ReadonlySet<Digest>;
}

/** What is the matter with a layer that has no files any more. */
const GONE = "has no files";

/** Layers that are not what they were: those made here by their digests, where they are known, others by names, sizes and times. */
export async function damagedLayers(engine: PruneEngine, options: AbortOptions): Promise<ReadonlyMap<LayerId, string>> {
  const damaged = new Map<LayerId, string>();
  await forAll(
    finishedLayers(engine),
    async (row, signal) => {
      const fault = await layerDamage(engine, row, { signal });
      // It may have been removed while it was looked at.
      if (fault !== undefined && finishedLayers(engine).some(({ id }) => id === row.id)) damaged.set(row.id, fault);
    },
    options,
  );
  return damaged;
}

async function layerDamage(
  { plane, dirs }: PruneEngine,
  { id, stamp, shape, diff_id: diffId, origin }: FinishedRow,
  options: AbortOptions,
): Promise<string | undefined> {
  if (!isAsItWas(dirs, { id, stamp: null })) return GONE;
  if (!isAsItWas(dirs, { id, stamp })) return "has other files than it had";
  try {
    if (diffId !== null && origin === null) {
      const args = { layer: id, compression: { kind: "none" }, output: "/dev/null" } as const;
      const { archive } = await plane.run("exportLayer", args, options);
      return archive === diffId ? undefined : "has files with other contents than they had";
    }
    if (shape === null) return undefined;
    const { shape: now } = await plane.run("measureLayer", { layer: id }, options);
    return now === shape ? undefined : "has other files than it had";
  } catch (error) {
    if (errorCode(error) === "canceled") throw error;
    return `can't be read: ${messageOf(error)}`;
  }
}

/** One fault for each layer of DAMAGED, with the step that made it. */
export function layerFaults({ database }: PruneEngine, damaged: ReadonlyMap<LayerId, string>): StoreFault[] {
  const made = `SELECT description FROM record_layer JOIN record ON record.id = record, json_each(results) AS tree
    WHERE layer = ? AND json_extract(tree.value, '$[#-1]') = layer ORDER BY created_at LIMIT 1`;
  return [...damaged].map(([layer, what]) => {
    const step = database.get<{ description: string }>(made, layer)?.description;
    const name = step === undefined ? `layer ${layer}` : `layer ${layer} (${step})`;
    return { kind: what === GONE ? "lost layer" : "damaged layer", description: `${name} ${what}` };
  });
}

export function mountFaults(engine: PruneEngine): StoreFault[] {
  return lostMounts(engine).map(({ description, layer }) => ({
    kind: "lost layer",
    description: `cache mount ${shownCacheMountId(description)}: layer ${layer} is gone`,
  }));
}

/** Blobs that hold something else than what they are named for. */
export async function damagedBlobs({ store }: PruneEngine, options: AbortOptions): Promise<ReadonlySet<Digest>> {
  const damaged = new Set<Digest>();
  for await (const { digest, sizeBytes } of store.walk(options)) {
    try {
      for await (const _ of store.peek({ mediaType: "", digest, size: sizeBytes }, options));
    } catch (error) {
      if (errorCode(error) === "canceled") throw error;
      if (errorCode(error) !== "not-found") damaged.add(digest);
    }
  }
  return damaged;
}

/** Images that lack something, and the blobs of DAMAGE that are no image's. */
export async function imageFaults(engine: PruneEngine, damage: Damage): Promise<StoreFault[]> {
  const faults: StoreFault[] = [];
  const told = new Set<Digest>();
  for (const image of engine.images.list()) {
    const name = image.name === undefined ? image.target.digest : familiarReference(parseReference(image.name));
    const look = new ImageLook(engine, damage);
    await look.at(image);
    for (const digest of look.named) told.add(digest);
    for (const what of look.lacks) faults.push({ kind: "damaged image", description: `${name}: ${what}` });
  }
  const others = [...damage.blobs].filter((digest) => !told.has(digest));
  return [
    ...faults,
    ...others.map((digest): StoreFault => ({ kind: "damaged blob", description: `${digest} holds something else` })),
  ];
}

/** What an image lacks. */
class ImageLook {
  readonly lacks: string[] = [];
  /** The blobs that it names. */
  readonly named = new Set<Digest>();
  readonly #engine: PruneEngine;
  readonly #damage: Damage;
  readonly #provider: Provider;

  constructor(engine: PruneEngine, damage: Damage) {
    this.#engine = engine;
    this.#damage = damage;
    this.#provider = onlyLooking(engine.store);
  }

  async at({ target, platforms }: StoredEntry): Promise<void> {
    if (!platforms.some(({ manifest }) => manifest.digest === target.digest)) await this.#document(target);
    for (const { manifest } of platforms) await this.#manifest(manifest);
  }

  async #manifest(descriptor: Descriptor): Promise<void> {
    if (!(await this.#document(descriptor))) return;
    try {
      const document = await readManifestOrIndex(this.#provider, descriptor);
      if (document.kind === "index" || !(await this.#document(document.manifest.config))) return;
      const { rootfs } = await readImageConfig(this.#provider, document.manifest);
      for (const [i, chain] of chainIds(rootfs.diff_ids).entries())
        await this.#layer(i + 1, chain, document.manifest.layers[i]);
    } catch (error) {
      if (errorCode(error) === "canceled") throw error;
      this.lacks.push(messageOf(error));
    }
  }

  /** Whether a document is there, and sound. */
  async #document(descriptor: Descriptor): Promise<boolean> {
    const state = await this.#blob(descriptor);
    if (state !== "here")
      this.lacks.push(`${descriptor.digest} ${state === "gone" ? "is gone" : "holds something else"}`);
    return state === "here";
  }

  async #blob({ digest, size }: Descriptor): Promise<"here" | "gone" | "damaged"> {
    this.named.add(digest);
    const info = await this.#engine.store.info(digest);
    if (!info) return "gone";
    return info.sizeBytes === size && !this.#damage.blobs.has(digest) ? "here" : "damaged";
  }

  async #layer(number: number, chain: Digest, blob: Descriptor | undefined): Promise<void> {
    const state = blob && (await this.#blob(blob));
    const row = this.#engine.database.get<{ id: LayerId; origin: string | null }>(
      "SELECT id, origin FROM layer WHERE chain_id = ?",
      chain,
    );
    const isDamaged = row !== undefined && this.#damage.layers.has(row.id);
    if (state === "damaged") this.lacks.push(`the blob ${blob?.digest} of its layer ${number} holds something else`);
    else if (!row && state !== "here") this.lacks.push(`its layer ${number} is gone`);
    // One that came from elsewhere is fetched again.
    else if (isDamaged && row.origin === null && state !== "here")
      this.lacks.push(`its layer ${number} (layer ${row.id} of the cache) is damaged`);
  }
}

/** Sees to it that nobody relies on what is damaged: it is made, or fetched, again. */
export async function distrust({ layers: store, store: blobs }: PruneEngine, damage: Damage): Promise<void> {
  for (const [layer, what] of damage.layers) if (what !== GONE) await store.distrust(layer);
  for (const digest of damage.blobs) await blobs.setAside(digest);
}
