import { digestOf, EngineError, errorCode, messageOf } from "../base/index.js";
import {
  type Descriptor,
  encodeIndex,
  familiarReference,
  type Index,
  isConfigType,
  type Layer,
  type Manifest,
  type ManifestOrIndex,
  parseReference,
  readImageConfig,
  readManifestOrIndex,
  successors,
} from "../oci/index.js";
import {
  type ContentStore,
  type Documents,
  MissingBlob,
  type PlatformImage,
  passingDocuments,
  type StoredEntry,
} from "../store/index.js";
import { platformImage } from "./image-lookup.js";

/** An image of the store as far as it is here. */
export interface StoredDocuments {
  /** The entry's own manifest or index, or one of what of it is here and wanted. */
  readonly root: Descriptor;
  /** Whether it is the entry's own. */
  readonly isWhole: boolean;
  readonly images: readonly StoredManifest[];
  /** What is said of the images. */
  readonly attestations: readonly (readonly [Descriptor, Manifest])[];
  /** Gives all of that. */
  readonly documents: Documents;
}

/** One platform's image. */
export interface StoredManifest {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly layers: readonly Layer[];
}

/** Does WORK on an entry; what that lacks is told with its name. */
export async function namingImage<T>({ name, target }: StoredEntry, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errorCode(error) !== "data-loss" && !(error instanceof MissingBlob)) throw error;
    const shown = name === undefined ? target.digest : familiarReference(parseReference(name));
    throw new EngineError("data-loss", `the image ${shown} is damaged: ${messageOf(error)}`, {
      cause: error,
      hint: "build or pull it again",
    });
  }
}

/**
 * The documents of an entry, for PLATFORMS or all that are here. An index that names more than that has another in its place, which the
 * store never holds; an only manifest needs none. Errors: `not-found` for a platform that isn't here, `data-loss`, `invalid`.
 */
export async function storedDocuments(
  store: ContentStore,
  entry: StoredEntry,
  platforms: readonly string[] = [],
): Promise<StoredDocuments> {
  const wanted = wantedImages(entry, platforms);
  const images = await Promise.all(wanted.map(({ manifest }) => readStored(store, manifest)));
  const document = await readManifestOrIndex(store, entry.target);
  const [only] = images;
  if (!only) throw new EngineError("not-found", `${entry.name ?? entry.target.digest} holds no image`);
  const documents = passingDocuments(store);
  if (document.kind === "manifest") return { root: entry.target, isWhole: true, images, attestations: [], documents };
  const { index } = document;
  const here = await presentManifests(store, index);
  const digests = new Set(wanted.map(({ manifest }) => manifest.digest as string));
  const attestations = here.filter(([descriptor]) => digests.has(attested(descriptor) ?? ""));
  const kept = new Set([...digests, ...attestations.map(([{ digest }]) => digest as string)]);
  const listed = index.manifests.filter(({ digest }) => kept.has(digest));
  const found = { images, attestations, documents };
  if (listed.length === index.manifests.length) return { root: entry.target, isWhole: true, ...found };
  const [single] = listed;
  if (single && listed.length === 1) return { root: single, isWhole: false, ...found };
  return { root: await putIndex(documents, { ...index, manifests: listed }), isWhole: false, ...found };
}

/** Everything that an image consists of, each thing once. */
export function contentsOf({ root, images, attestations }: StoredDocuments): readonly Descriptor[] {
  const manifests: readonly (readonly [Descriptor, Manifest])[] = [
    ...images.map(({ descriptor, manifest }) => [descriptor, manifest] as const),
    ...attestations,
  ];
  return [
    root,
    ...manifests.flatMap(([descriptor, manifest]) => [descriptor, ...successors({ kind: "manifest", manifest })]),
  ];
}

/** How an attestation's entry in an index says which manifest it is about. */
const ATTESTED_ANNOTATION = "vnd.docker.reference.digest";

/** The digest of what an index's entry says something of. */
function attested({ annotations }: Descriptor): string | undefined {
  return annotations?.[ATTESTED_ANNOTATION];
}

function wantedImages(entry: StoredEntry, platforms: readonly string[]): readonly PlatformImage[] {
  if (platforms.length === 0) return entry.platforms;
  const wanted = platforms.map((platform) => platformImage(entry, platform));
  return [...new Map(wanted.map((image) => [image.manifest.digest, image])).values()];
}

async function readStored(store: ContentStore, descriptor: Descriptor): Promise<StoredManifest> {
  const document = await readManifestOrIndex(store, descriptor);
  if (document.kind === "index") throw new EngineError("invalid", `${descriptor.digest} is an index, no image`);
  const { manifest } = document;
  const { rootfs } = await readImageConfig(store, manifest);
  const { layers } = manifest;
  if (layers.length !== rootfs.diff_ids.length)
    throw new EngineError("invalid", `the manifest ${descriptor.digest} and its config differ in their layers`);
  const pairs = rootfs.diff_ids.flatMap((diffId, i) => {
    const layer = layers[i];
    return layer ? [{ descriptor: layer, diffId }] : [];
  });
  return { descriptor, manifest, layers: pairs };
}

/** The manifests of an index that are here and are no images. */
async function presentManifests(
  store: ContentStore,
  { manifests }: Index,
): Promise<readonly (readonly [Descriptor, Manifest])[]> {
  const found: (readonly [Descriptor, Manifest])[] = [];
  for (const descriptor of manifests) {
    if (attested(descriptor) === undefined || !(await store.info(descriptor.digest))) continue;
    const document: ManifestOrIndex = await readManifestOrIndex(store, descriptor);
    if (document.kind === "manifest" && (await hasAll(store, document.manifest)))
      found.push([descriptor, document.manifest]);
  }
  return found;
}

async function hasAll(store: ContentStore, manifest: Manifest): Promise<boolean> {
  for (const { digest } of successors({ kind: "manifest", manifest })) if (!(await store.info(digest))) return false;
  return true;
}

async function putIndex(documents: Documents, index: Index): Promise<Descriptor> {
  const bytes = encodeIndex(index);
  const descriptor = { mediaType: index.mediaType, digest: digestOf(bytes), size: bytes.length };
  await documents.put(descriptor, bytes);
  return descriptor;
}

/** Whether a manifest is an image's, and not something that is said of one. */
export function isImageManifest(descriptor: Descriptor, { config }: Manifest): boolean {
  return isConfigType(config.mediaType) && descriptor.annotations?.[REFERENCE_TYPE] === undefined;
}

/** How an index marks what is no image to run. */
const REFERENCE_TYPE = "vnd.docker.reference.type";
