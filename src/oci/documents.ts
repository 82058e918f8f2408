import type { AbortOptions } from "../base/index.js";
import type { Descriptor } from "./descriptor.js";
import { IMAGE_CONFIG_BYTES_MAX, type ImageConfig, parseImageConfig } from "./image-config.js";
import { MANIFEST_BYTES_MAX, type Manifest, type ManifestOrIndex, parseManifestOrIndex } from "./manifest.js";
import { type Provider, readAll } from "./provider.js";

/** The manifest or index behind DESCRIPTOR. Throws `invalid` for what is neither, or too large; and what PROVIDER throws. */
export async function readManifestOrIndex(
  provider: Provider,
  descriptor: Descriptor,
  options?: AbortOptions,
): Promise<ManifestOrIndex> {
  return parseManifestOrIndex(await readAll(provider, descriptor, MANIFEST_BYTES_MAX, options), descriptor.mediaType);
}

/** The config that MANIFEST names. Errors as those of `readManifestOrIndex`. */
export async function readImageConfig(
  provider: Provider,
  { config }: Manifest,
  options?: AbortOptions,
): Promise<ImageConfig> {
  return parseImageConfig(await readAll(provider, config, IMAGE_CONFIG_BYTES_MAX, options));
}
