import { EngineError } from "../base/index.js";
import { type ExportOptions, type SavedImage, saveImages } from "../exporters/index.js";
import { type Layer, parseReference, repositoryName } from "../oci/index.js";
import type { StateDirs } from "../snapshot/index.js";
import type { ImageStore, StoredEntry } from "../store/index.js";
import { findImage, platformImage } from "./image-lookup.js";
import { contentsOf, namingImage, storedDocuments } from "./stored-image.js";
import { bringLayers, type LayerBringing } from "./stored-layers.js";
import { isAlone } from "./sweep.js";

/** What archives of stored images are written with. */
export interface ArchiveEngine extends LayerBringing {
  readonly images: ImageStore;
  readonly dirs: StateDirs;
  /** This engine's own id. */
  readonly owner: string;
}

/** Images to put into one archive. */
export interface ArchiveRequest extends ExportOptions {
  readonly images: readonly string[];
  readonly dest: string | NodeJS.WritableStream;
  readonly platforms?: readonly string[] | undefined;
}

/** Writes stored images as one archive; its size. What had to be packed for it is not kept. Errors: `not-found`, `invalid`, `saveImages`'s. */
export async function saveStoredImages(engine: ArchiveEngine, request: ArchiveRequest): Promise<number> {
  const { store, dirs, owner } = engine;
  const { dest, platforms, ...options } = request;
  const made: Layer[] = [];
  try {
    const saved: SavedImage[] = [];
    for (const { entry, names } of imagesToSave(engine.images, request.images)) {
      const documents = await namingImage(entry, async () => {
        const stored = await storedDocuments(store, entry, platforms);
        for (const { layers } of stored.images) made.push(...(await bringLayers(engine, layers, options)));
        return stored;
      });
      const shown = platformImage(entry, platforms?.[0]).manifest.digest;
      const image = documents.images.find(({ descriptor }) => descriptor.digest === shown) ?? documents.images[0];
      if (!image) continue;
      const { manifest, layers } = image;
      const { root, documents: provider } = documents;
      const blobs = contentsOf(documents);
      const shownParts = { config: manifest.config, layers };
      saved.push({ root, blobs, provider, names, taggedAt: entry.updatedAt, shown: shownParts });
    }
    return await saveImages(saved, { ...options, destination: dest });
  } finally {
    // Another engine may have found them meanwhile.
    const packed = isAlone(dirs, owner) ? made.filter(({ descriptor, diffId }) => descriptor.digest === diffId) : [];
    for (const { diffId } of packed) await store.delete(diffId);
  }
}

interface Chosen {
  readonly entry: StoredEntry;
  /** What it is called in the archive. */
  readonly names: readonly string[];
}

/**
 * The images that TEXTS mean, each once. A repository without a tag means all of its tags, as with docker. Throws `not-found`, `invalid`,
 * also where there are none.
 */
export function imagesToSave(images: ImageStore, texts: readonly string[]): readonly Chosen[] {
  if (texts.length === 0) throw new EngineError("invalid", "no image given to save");
  const chosen = new Map<string, { readonly entry: StoredEntry; readonly names: Set<string> }>();
  for (const text of texts) {
    const all = entriesOfRepository(images, text);
    const { entry, by } = all.length > 0 ? { entry: undefined, by: "name" as const } : findImage(images, text);
    for (const each of entry ? [entry] : all) {
      const known = chosen.get(each.target.digest) ?? { entry: each, names: new Set<string>() };
      chosen.set(each.target.digest, known);
      if (by === "name" && each.name !== undefined && !each.name.includes("@")) known.names.add(each.name);
    }
  }
  return [...chosen.values()].map(({ entry, names }) => ({ entry, names: [...names] }));
}

function entriesOfRepository(images: ImageStore, text: string): readonly StoredEntry[] {
  if (/[:@][^/]*$/.test(text) || /^[0-9a-f]{64}$/.test(text)) return [];
  const repository = repositoryName(parseReference(text));
  return images.list().filter(({ name }) => {
    if (name === undefined) return false;
    return repositoryName(parseReference(name)) === repository;
  });
}
