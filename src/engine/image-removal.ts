import { type AbortOptions, type Digest, EngineError } from "../base/index.js";
import { familiarReference, parseReference, readImageConfig, readManifestOrIndex } from "../oci/index.js";
import type { StoredEntry } from "../store/index.js";
import { leasedLayers, removeUnused } from "./garbage.js";
import { chainIds, unlessDamaged } from "./image-contents.js";
import { findImage, imageIdOf } from "./image-lookup.js";
import type { PruneImagesRequest, RemovedImages, RemoveImageOptions } from "./image-requests.js";
import { listImages } from "./images.js";
import type { PruneEngine } from "./prune.js";
import { withReserve } from "./reserve.js";

/** Takes a name away, or, with its last name or by its id, the image. Errors: `not-found`, `invalid`, `denied` where that needs force. */
export async function removeImage(
  engine: PruneEngine,
  image: string,
  { force = false, keepContent = false }: RemoveImageOptions = {},
): Promise<RemovedImages> {
  const { entry, entries, by } = findImage(engine.images, image);
  const id = imageIdOf(entry);
  const others = entries.filter((each) => each !== entry && each.name !== entry.name);
  const isLast = by === "id" || others.length === 0;
  const going = by === "id" ? entries : [entry];
  if (by === "id" && entries.length > 1 && !force)
    throw new EngineError(
      "denied",
      `conflict: unable to delete ${shortId(id)} (must be forced) - image is referenced in multiple repositories`,
    );
  if (isLast && !force && (await isInUse(engine, entry)))
    throw new EngineError(
      "denied",
      `conflict: unable to remove ${shownAs(entry)} (must force) - a running build or container is using its image ${shortId(id)}`,
    );
  for (const each of going) await withReserve(engine.dirs, () => forget(engine, each));
  if (isLast && !keepContent) await withReserve(engine.dirs, () => removeUnused(engine, {}));
  return { untagged: going.flatMap(({ name }) => name ?? []), deleted: isLast ? [id] : [] };
}

/** Removes images that have no name, or all, as far as REQUEST's conditions hold of them; those that a running build uses stay. */
export async function pruneImages(
  engine: PruneEngine,
  { all = false, signal, ...conditions }: PruneImagesRequest = {},
): Promise<RemovedImages & { readonly freedBytes: number }> {
  const doomed = await listImages(engine, { ...conditions, ...(all ? {} : { dangling: true }) });
  const keys = new Set(doomed.map(({ name, digest }) => `${name} ${digest}`));
  const untagged: string[] = [];
  const deleted = new Set<Digest>();
  for (const entry of engine.images.list()) {
    if (!keys.has(`${entry.name} ${entry.target.digest}`) || (await isInUse(engine, entry))) continue;
    await withReserve(engine.dirs, () => forget(engine, entry));
    if (entry.name !== undefined) untagged.push(entry.name);
    deleted.add(imageIdOf(entry));
  }
  for (const entry of engine.images.list()) deleted.delete(imageIdOf(entry));
  const remove = () => removeUnused(engine, signal ? { signal } : {});
  const freedBytes = deleted.size === 0 ? 0 : await withReserve(engine.dirs, remove);
  return { untagged, deleted: [...deleted], freedBytes };
}

/** Takes an entry away, and what a registry has said of its name. */
async function forget(
  { images, references }: PruneEngine,
  { name, target }: StoredEntry,
  options: AbortOptions = {},
): Promise<void> {
  if (name === undefined) await images.removeNameless(target.digest, options);
  else {
    await images.remove(name, options);
    await references.remove(name, options);
  }
}

/** Whether a build that runs stands on the image: its topmost layer is leased. */
async function isInUse(engine: PruneEngine, { platforms }: StoredEntry): Promise<boolean> {
  const { store, database } = engine;
  const leased = leasedLayers(engine);
  if (leased.size === 0) return false;
  for (const { manifest } of platforms) {
    if (!(await store.info(manifest.digest))) continue;
    const document = await unlessDamaged(readManifestOrIndex(store, manifest));
    if (document?.kind !== "manifest") continue;
    const read = await unlessDamaged(readImageConfig(store, document.manifest));
    const top = chainIds(read?.rootfs.diff_ids ?? []).at(-1);
    const row = top && database.get<{ id: number }>("SELECT id FROM layer WHERE chain_id = ?", top);
    if (row && leased.has(row.id)) return true;
  }
  return false;
}

function shownAs({ name, target }: StoredEntry): string {
  return name === undefined
    ? shortId(target.digest)
    : `repository reference ${JSON.stringify(familiarReference(parseReference(name)))}`;
}

function shortId(id: Digest): string {
  return id.slice("sha256:".length, "sha256:".length + SHORT_ID_LENGTH);
}

/** Hex digits of an id as docker shows it. */
const SHORT_ID_LENGTH = 12;
