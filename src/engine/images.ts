import { compileWildcard, EngineError } from "../base/index.js";
import {
  familiarReference,
  familiarRepositoryName,
  formatPlatform,
  parseReference,
  readImageConfig,
  readManifestOrIndex,
} from "../oci/index.js";
import type { LayerStore } from "../snapshot/index.js";
import { type ContentStore, type ImageStore, onlyLooking, type StoredEntry } from "../store/index.js";
import { unlessDamaged } from "./image-contents.js";
import { findImage, imageIdOf, platformImage } from "./image-lookup.js";
import type { ImageQuery, StoredImage } from "./image-requests.js";
import { imageSize } from "./image-size.js";

export interface ImageShelf {
  readonly images: ImageStore;
  readonly store: ContentStore;
  readonly layers: Pick<LayerStore, "known">;
}

/** The images that QUERY asks for, newest first. Throws `not-found` for an image it names, `invalid` for a malformed pattern. */
export async function listImages(shelf: ImageShelf, query: ImageQuery = {}): Promise<readonly StoredImage[]> {
  const listed = await Promise.all(shelf.images.list().map((image) => describeEntry(image, shelf)));
  const conditions = await conditionsOf(shelf, query);
  return listed
    .filter((image) => conditions.every((holds) => holds(image)))
    .sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
}

/** What is shown of an entry of the store. */
async function describeEntry(image: StoredEntry, { store, layers: known }: ImageShelf): Promise<StoredImage> {
  const platforms = image.platforms.map(({ manifest }) =>
    manifest.platform ? formatPlatform(manifest.platform) : "unknown",
  );
  const base = { name: image.name, imageId: imageIdOf(image), digest: image.target.digest, platforms };
  const unknown = { ...base, sizeBytes: 0, createdAt: undefined, labels: {} };
  const shown = image.platforms.length === 0 ? undefined : platformImage(image, undefined);
  if (!shown || !(await store.info(shown.manifest.digest))) return unknown;
  const document = await unlessDamaged(readManifestOrIndex(onlyLooking(store), shown.manifest));
  if (document?.kind !== "manifest") return unknown;
  const { manifest } = document;
  const read = await unlessDamaged(readImageConfig(onlyLooking(store), manifest));
  if (!read) return unknown;
  const { created, config: running, rootfs } = read;
  const layers = manifest.layers.flatMap((descriptor, i) => {
    const diffId = rootfs.diff_ids[i];
    return diffId === undefined ? [] : [{ descriptor, diffId }];
  });
  return {
    ...base,
    sizeBytes: imageSize(layers, known),
    createdAt: created === undefined ? undefined : Date.parse(created),
    labels: running.Labels ?? {},
  };
}

type Condition = (image: StoredImage) => boolean;

async function conditionsOf(shelf: ImageShelf, query: ImageQuery): Promise<readonly Condition[]> {
  const { references = [], dangling, labels = [], withoutLabels = [], before = [], since = [], until } = query;
  const createdAt = async (image: string): Promise<number> =>
    (await describeEntry(findImage(shelf.images, image).entry, shelf)).createdAt ?? 0;
  const conditions: Condition[] = [];
  if (references.length > 0) {
    const matchers = references.map(nameMatcher);
    conditions.push(({ name }) => name !== undefined && matchers.some((matches) => matches(name)));
  }
  if (dangling !== undefined) conditions.push(({ name }) => (name === undefined) === dangling);
  for (const label of labels) conditions.push((image) => hasLabel(image, label));
  for (const label of withoutLabels) conditions.push((image) => !hasLabel(image, label));
  for (const image of before) {
    const limit = await createdAt(image);
    conditions.push((each) => (each.createdAt ?? 0) < limit);
  }
  for (const image of since) {
    const limit = await createdAt(image);
    conditions.push((each) => (each.createdAt ?? 0) > limit);
  }
  if (until !== undefined) conditions.push((each) => (each.createdAt ?? 0) < until);
  return conditions;
}

/** Matches names as people write them, with the tag and without, and in full. */
function nameMatcher(pattern: string): (name: string) => boolean {
  const wildcard = compileWildcard(pattern);
  if (!wildcard) throw new EngineError("invalid", `invalid reference pattern ${JSON.stringify(pattern)}`);
  return (name) => {
    const reference = parseReference(name);
    const { registry, repository } = reference;
    const spellings = [
      familiarReference(reference),
      familiarRepositoryName(reference),
      name,
      `${registry}/${repository}`,
    ];
    return spellings.some((spelling) => wildcard.matches(spelling));
  };
}

/** `key`, or `key=value`. */
function hasLabel({ labels }: StoredImage, label: string): boolean {
  const equals = label.indexOf("=");
  const key = equals < 0 ? label : label.slice(0, equals);
  return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === label.slice(equals + 1));
}
