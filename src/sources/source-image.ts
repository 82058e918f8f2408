import { type AbortOptions, type Digest, EngineError, unreachable } from "../base/index.js";
import {
  configPlatform,
  type Descriptor,
  formatPlatform,
  type ImageConfig,
  type Index,
  isIndexType,
  isManifestType,
  type Layer,
  layerCompression,
  type Manifest,
  type Platform,
  type Provider,
  platformRank,
  readImageConfig,
  readManifestOrIndex,
} from "../oci/index.js";

/** An image for one platform, found somewhere: what a FROM builds on. No layer has been fetched. */
export interface SourceImage {
  /** The manifest or index that the name stands for: the digest to pin. */
  readonly root: Descriptor;
  /** The platform's manifest: the root itself, or what the root's index holds for the platform. */
  readonly manifest: Descriptor;
  /** The digest of the config. */
  readonly imageId: Digest;
  readonly config: ImageConfig;
  /** Bottom first. */
  readonly layers: readonly Layer[];
  /** Gives the bytes of the layers. */
  readonly provider: Provider;
  /** Made here, or loaded: no registry is known to have it, whatever it is called. */
  readonly isLocal?: boolean;
}

/**
 * The image for PLATFORM under ROOT, read from PROVIDER. A root that is a manifest is taken whatever its platform is. Errors:
 * `not-found` if an index has nothing the platform can run, `unsupported`, `invalid`, and those of the provider.
 */
export async function selectImage(
  provider: Provider,
  root: Descriptor,
  platform: Platform,
  options?: AbortOptions,
): Promise<SourceImage> {
  const { descriptor, manifest } = await selectManifest(provider, root, platform, { ...options, depth: 0 });
  const config = await readImageConfig(provider, manifest, options);
  return {
    root,
    manifest: descriptor,
    imageId: manifest.config.digest,
    config,
    layers: layersOf(manifest, config),
    provider,
  };
}

/** Indexes within indexes. */
const INDEX_DEPTH_MAX = 3;
/** Manifests of an index that don't say their platform and whose configs are asked instead. */
const CONFIGS_ASKED_MAX = 16;

interface FoundManifest {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

interface SelectOptions extends AbortOptions {
  readonly depth: number;
}

async function selectManifest(
  provider: Provider,
  descriptor: Descriptor,
  platform: Platform,
  options: SelectOptions,
): Promise<FoundManifest> {
  const document = await readManifestOrIndex(provider, descriptor, options);
  switch (document.kind) {
    case "manifest":
      return { descriptor, manifest: document.manifest };
    case "index": {
      if (options.depth === INDEX_DEPTH_MAX)
        throw new EngineError("invalid", `${descriptor.digest}: indexes are nested too deeply`);
      const chosen = bestMatch(document.index, platform);
      if (chosen !== undefined)
        return selectManifest(provider, chosen, platform, { ...options, depth: options.depth + 1 });
      const found = await matchByConfig(provider, document.index, platform, options);
      if (found !== undefined) return found;
      throw new EngineError(
        "not-found",
        `no match for platform in manifest ${descriptor.digest}: ${formatPlatform(platform)} not found`,
      );
    }
    default:
      return unreachable(document);
  }
}

function bestMatch(index: Index, platform: Platform): Descriptor | undefined {
  let best: { readonly rank: number; readonly descriptor: Descriptor } | undefined;
  for (const descriptor of index.manifests) {
    if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) continue;
    const rank = descriptor.platform && platformRank(platform, descriptor.platform);
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { rank, descriptor };
  }
  return best?.descriptor;
}

async function matchByConfig(
  provider: Provider,
  index: Index,
  platform: Platform,
  options: AbortOptions,
): Promise<FoundManifest | undefined> {
  const silent = index.manifests.filter(
    ({ platform: said, mediaType }) => said === undefined && isManifestType(mediaType),
  );
  for (const descriptor of silent.slice(0, CONFIGS_ASKED_MAX)) {
    const document = await readManifestOrIndex(provider, descriptor, options);
    if (document.kind !== "manifest") continue;
    const config = await readImageConfig(provider, document.manifest, options);
    if (platformRank(platform, configPlatform(config)) !== undefined)
      return { descriptor, manifest: document.manifest };
  }
  return undefined;
}

function layersOf(manifest: Manifest, config: ImageConfig): readonly Layer[] {
  const { diff_ids: diffIds } = config.rootfs;
  if (manifest.layers.length !== diffIds.length) {
    throw new EngineError(
      "invalid",
      `the manifest has ${manifest.layers.length} layers, its config ${diffIds.length} diff ids`,
    );
  }
  return diffIds.map((diffId, position) => {
    const descriptor = manifest.layers[position];
    if (descriptor === undefined || layerCompression(descriptor.mediaType) === undefined) {
      throw new EngineError(
        "unsupported",
        `layer ${position + 1} is of the unknown type ${JSON.stringify(descriptor?.mediaType)}`,
      );
    }
    return { descriptor, diffId };
  });
}
