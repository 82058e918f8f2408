import { EngineError, forAll } from "../base/index.js";
import { formatReference, parseReference, withDefaultTag } from "../oci/index.js";
import type { LayerStore } from "../snapshot/index.js";
import type { ImageStore } from "../store/index.js";
import type { ExportedImage, WrittenImages } from "./image.js";
import type { DocumentOptions, ImageWriter } from "./image-writer.js";
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

/**
 * Puts images into the image store under NAMES. Nothing is packed for that: a layer of our own stays the directory it is, under the
 * digests it would have as a plain archive, and is found again by them. Errors: `invalid` for a malformed name, and those of the writer.
 */
export async function storeImage(
  keeper: ImageKeeper,
  images: readonly ExportedImage[],
  options: DocumentOptions & { readonly names: readonly string[] },
): Promise<StoredImages> {
  const names = fullNames(options.names);
  const written = await keeper.writer.describe(images, options);
  for (const [i, { tree }] of images.entries()) {
    const layers = written.images[i]?.layers ?? [];
    const diffIds = layers.map(({ diffId }) => diffId);
    const lost = new Set(await keeper.layers.setChain(tree, diffIds));
    // What can't be found by its digests must be there as a blob.
    const alone = layers
      .flatMap((described, at) => ({ layer: tree[at] ?? -1, described }))
      .filter(({ layer }) => lost.has(layer));
    await forAll(
      alone,
      ({ layer, described }, signal) => keeper.writer.keepBlob(layer, described, { signal }),
      options,
    );
  }
  const platforms = written.images.map(({ config, manifest }) => ({ imageId: config.digest, manifest }));
  for (const name of names) {
    const put = () => keeper.images.put({ name, target: written.root, platforms }, options);
    await reported(`naming to ${name}`, options, put);
  }
  return { ...written, names };
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
