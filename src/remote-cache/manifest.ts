import { type AbortOptions, digestOf, EngineError } from "../base/index.js";
import {
  type Descriptor,
  encodeIndex,
  encodeManifest,
  IMAGE_CONFIG_BYTES_MAX,
  isConfigType,
  isIndexType,
  isManifestType,
  type Manifest,
  MediaType,
  type Provider,
  parseImageConfig,
  readAll,
  readManifestOrIndex,
} from "../oci/index.js";
import { CACHE_CONFIG_BYTES_MAX, CACHE_CONFIG_TYPE, openCache } from "./document.js";
import { openInline } from "./inline.js";
import type { OpenedCache, PublishedCache } from "./place.js";

/** How a cache is listed in a registry or a layout. */
export interface ManifestForm {
  /** As an image's manifest, else as an index. */
  readonly imageManifest: boolean;
  readonly mediaTypes: "oci" | "docker";
}

/** A document that points to the blobs of a cache. */
export interface CacheManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  /** What it points to beside the layers: they come before it. */
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[];
}

/** The manifest of CACHE in the form asked for. */
export function cacheManifest(cache: PublishedCache, { imageManifest, mediaTypes }: ManifestForm): CacheManifest {
  const { config: bytes, parts } = cache;
  const config = { mediaType: CACHE_CONFIG_TYPE, digest: digestOf(bytes), size: bytes.length };
  const blobs = [...parts, { descriptor: config, bytes }];
  const listed = [...distinct(cache.layers), ...parts.map(({ descriptor }) => descriptor)];
  const indexType = mediaTypes === "oci" ? MediaType.ociIndex : MediaType.dockerIndex;
  const mediaType = imageManifest ? MediaType.ociManifest : indexType;
  const document = imageManifest
    ? encodeManifest({ mediaType, config, layers: listed })
    : encodeIndex({ mediaType, manifests: [...listed, config] });
  return { descriptor: { mediaType, digest: digestOf(document), size: document.length }, bytes: document, blobs };
}

/** Manifests of one image that are asked for an inline cache. */
const PLATFORMS_MAX = 32;

/**
 * The caches under ROOT: one that was exported as such, or those that the configs of an image hold. Errors: `not-found` for an image without
 * any, `invalid`, those of PROVIDER.
 */
export async function openManifest(
  root: Descriptor,
  { provider, origin }: { readonly provider: Provider; readonly origin: string },
  options: AbortOptions,
): Promise<readonly OpenedCache[]> {
  const document = await readManifestOrIndex(provider, root, options);
  if (document.kind === "manifest") return found(await ofManifest(document.manifest, { provider, origin }, options));
  const { manifests } = document.index;
  const config = manifests.find(({ mediaType }) => mediaType === CACHE_CONFIG_TYPE);
  if (config) return [{ index: openCache(await readConfig(config, provider, options), provider), origin, provider }];
  const images = manifests.filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType));
  const opened = await Promise.all(
    images.slice(0, PLATFORMS_MAX).map(async (image) => {
      const each = await readManifestOrIndex(provider, image, options);
      return each.kind === "manifest" ? ofManifest(each.manifest, { provider, origin }, options) : [];
    }),
  );
  return found(opened.flat());
}

async function ofManifest(
  manifest: Manifest,
  { provider, origin }: { readonly provider: Provider; readonly origin: string },
  options: AbortOptions,
): Promise<readonly OpenedCache[]> {
  const { config } = manifest;
  if (config.mediaType === CACHE_CONFIG_TYPE)
    return [{ index: openCache(await readConfig(config, provider, options), provider), origin, provider }];
  if (!isConfigType(config.mediaType)) return [];
  const image = parseImageConfig(await readAll(provider, config, IMAGE_CONFIG_BYTES_MAX, options));
  const index = openInline(image, manifest, provider);
  return index ? [{ index, origin, provider }] : [];
}

function readConfig(config: Descriptor, provider: Provider, options: AbortOptions): Promise<Buffer> {
  return readAll(provider, config, CACHE_CONFIG_BYTES_MAX, options);
}

function found(caches: readonly OpenedCache[]): readonly OpenedCache[] {
  if (caches.length > 0) return caches;
  throw new EngineError("not-found", "there is no cache of this engine's in it", {
    hint: "export one with --cache-to, or an image with type=inline",
  });
}

function distinct(layers: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}
