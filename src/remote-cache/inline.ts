import type { StoredRecord } from "../cache/index.js";
import type { ImageConfig, Manifest, Provider } from "../oci/index.js";
import type { Tree } from "../snapshot/index.js";
import { composeRecords } from "./compose.js";
import { type CacheIndex, encodeInline, openCache } from "./document.js";

/** The member of an image's config that holds what of the image's cache isn't in its layers. */
export const INLINE_CACHE = "ashlar.cache.v1";

/** CONFIG, which says what of RECORDS its own layers, those of TREE, are the results of. */
export function withInlineCache(config: ImageConfig, records: readonly StoredRecord[], tree: Tree): ImageConfig {
  const positions = new Map(tree.map((layer, i) => [layer, i]));
  const composed = composeRecords(records, (layer) => positions.get(layer));
  return { ...config, [INLINE_CACHE]: encodeInline(composed).toString("base64") };
}

/** The cache that an image holds; undefined where it holds none. Throws `invalid`, `unsupported`. */
export function openInline(image: ImageConfig, manifest: Manifest, provider: Provider): CacheIndex | undefined {
  const text = image[INLINE_CACHE];
  if (typeof text !== "string") return undefined;
  const createdAt = timesOf(image);
  const layers = image.rootfs.diff_ids.flatMap((diffId, i) => {
    const descriptor = manifest.layers[i];
    return descriptor ? [{ diffId, descriptor, createdAt: createdAt[i] ?? 0 }] : [];
  });
  return openCache(Buffer.from(text, "base64"), provider, layers);
}

/** When each layer was made, as the history says. */
function timesOf({ history }: ImageConfig): readonly number[] {
  const made = history.filter(({ empty_layer: isEmpty }) => isEmpty !== true);
  return made.map(({ created = "" }) => Math.max(0, Date.parse(created) || 0));
}
