import { formatPlatform, type Layer, parseReference, repositoryName } from "../oci/index.js";
import { selectImage } from "../sources/index.js";
import type { StoredEntry } from "../store/index.js";
import { findImage, platformImage, wantedPlatform } from "./image-lookup.js";
import type { ImageDetails } from "./image-requests.js";
import { imageSize } from "./image-size.js";
import type { ImageShelf } from "./images.js";
import { namingImage } from "./stored-image.js";

/** What is known of IMAGE for one platform. Errors: `not-found`, `invalid`, `data-loss`. */
export async function imageDetails(
  { images, store, layers: known }: ImageShelf,
  image: string,
  { platform }: { readonly platform?: string | undefined } = {},
): Promise<ImageDetails> {
  const { entry, entries } = findImage(images, image);
  const { imageId, manifest } = platformImage(entry, platform);
  const { config, layers } = await namingImage(entry, () =>
    selectImage(store, manifest, manifest.platform ?? wantedPlatform(platform)),
  );
  const { mediaType, digest, size } = entry.target;
  return {
    imageId,
    names: entries.flatMap(({ name }) => name ?? []),
    repositoryDigests: [...new Set(entries.flatMap(repositoryDigest))],
    digest,
    descriptor: { mediaType, digest, size },
    platform: formatPlatform(manifest.platform ?? wantedPlatform(platform)),
    config,
    layers: layers.map(layerFacts),
    sizeBytes: imageSize(layers, known),
    taggedAt: entry.updatedAt,
  };
}

/** Each name has a digest of its own: the same image may have been packed for one of them only. */
function repositoryDigest({ name, target }: StoredEntry): readonly string[] {
  return name === undefined ? [] : [`${repositoryName(parseReference(name))}@${target.digest}`];
}

function layerFacts({ descriptor, diffId }: Layer): ImageDetails["layers"][number] {
  return { digest: descriptor.digest, diffId, sizeBytes: descriptor.size };
}
