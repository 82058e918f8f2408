import { type AbortOptions, EngineError, forAll } from "../base/index.js";
import { formatReference, type Layer, parseReference, withDefaultTag } from "../oci/index.js";
import type { LayerStore, Tree } from "../snapshot/index.js";
import type { ImageStore } from "../store/index.js";
import type { ExportedImage, WrittenImages } from "./image.js";
import type { DocumentOptions, ImageWriter, WriteOptions } from "./image-writer.js";
import { reported } from "./progress.js";

/** What images are kept with. */
export interface ImageKeeper {
  readonly writer: ImageWriter;
  readonly layers: LayerStore;
  readonly images: ImageStore;
}

export interface StoredImages extends WrittenImages {
  /** In full: `docker.io/library/hello:latest`. */
  readonly names: readonly string[];
}

/** Images to keep. */
export interface StoreOptions extends DocumentOptions {
  readonly names: readonly string[];
  /** What attestations are told to be about; absent: the names. */
  readonly subjects?: readonly string[] | undefined;
  /** How their layers are packed; absent: not at all. */
  readonly packing?: Omit<WriteOptions, "complete"> | undefined;
  /** Whether each name is also given with the digest. */
  readonly canonical?: boolean | undefined;
}

/**
 * Puts images into the image store under NAMES; without any the image stays there as one that has none. What is PASSING is not put there, but
 * has its blobs. Unless packing is asked for, a layer of our own stays the directory it is, under the
 * digests it would have as a plain archive, and is found again by them. Errors: `invalid` for a malformed name, and those of the writer.
 */
export async function storeImage(
  keeper: ImageKeeper,
  images: readonly ExportedImage[],
  options: StoreOptions,
): Promise<StoredImages> {
  const { packing } = options;
  const names = fullNames(options.names);
  const { writer } = keeper;
  const documents = { ...options, names: options.subjects ?? names };
  const written = packing
    ? await writer.write(images, { ...packing, ...documents, complete: false })
    : await writer.describe(images, documents);
  for (const [i, { tree }] of images.entries()) {
    const layers = written.images[i]?.layers ?? [];
    if (packing) await nameLayers(keeper, tree, layers);
    else await keepDescribed(keeper, { tree, layers }, options);
  }
  const platforms = written.images.map(({ config, manifest }) => ({ imageId: config.digest, manifest }));
  if (names.length === 0 && !options.passing) await keeper.images.keep({ target: written.root, platforms }, options);
  const suffixes = options.canonical ? ["", `@${written.root.digest}`] : [""];
  for (const name of names) {
    await reported(`naming to ${name}`, options, async () => {
      for (const suffix of suffixes)
        await keeper.images.put({ name: name + suffix, target: written.root, platforms }, options);
    });
  }
  return { ...written, names };
}

/** Layers that were packed without a change are found by their digests; others are there as blobs. */
async function nameLayers({ layers, writer }: ImageKeeper, tree: Tree, packed: readonly Layer[]): Promise<void> {
  const diffIds = await writer.diffIdsOf(tree);
  if (packed.every(({ diffId }, i) => diffId === diffIds[i])) await layers.setChain(tree, diffIds);
}

async function keepDescribed(
  { layers, writer }: ImageKeeper,
  described: { readonly tree: Tree; readonly layers: readonly Layer[] },
  options: AbortOptions,
): Promise<void> {
  const { tree } = described;
  const diffIds = described.layers.map(({ diffId }) => diffId);
  const lost = new Set(await layers.setChain(tree, diffIds));
  // What can't be found by its digests must be there as a blob.
  const alone = described.layers
    .flatMap((each, at) => ({ layer: tree[at] ?? -1, each }))
    .filter(({ layer }) => lost.has(layer));
  await forAll(alone, ({ layer, each }, signal) => writer.keepBlob(layer, each, { signal }), options);
}

/** NAMES in full, with a tag each. Throws `invalid`. */
export function fullNames(names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const reference = parseReference(name);
    if (reference.digest !== undefined) {
      throw new EngineError(
        "invalid",
        `invalid tag ${JSON.stringify(name)}: refusing to create a tag with a digest reference`,
      );
    }
    return formatReference(withDefaultTag(reference));
  });
}
