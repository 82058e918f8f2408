import { type Digest, digestOf, errorCode } from "../base/index.js";
import { type Descriptor, isConfigType, readImageConfig, readManifestOrIndex } from "../oci/index.js";
import { type ContentStore, onlyLooking } from "../store/index.js";

/** What images consist of. */
export interface ImageContents {
  readonly blobs: ReadonlySet<Digest>;
  /** The chain ids of their layers. */
  readonly chains: ReadonlySet<Digest>;
}

/**
 * Every blob and layer that the images under ROOTS name, whether it is on this disk or not; of a document that is damaged nothing more is
 * known than its name. Nothing is changed.
 */
export async function imageContents(roots: readonly Descriptor[], store: ContentStore): Promise<ImageContents> {
  const provider = onlyLooking(store);
  const blobs = new Set<Digest>();
  const chains = new Set<Digest>();
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (blobs.has(descriptor.digest)) return;
    blobs.add(descriptor.digest);
    if (!(await store.info(descriptor.digest))) return;
    const document = await unlessDamaged(readManifestOrIndex(provider, descriptor));
    if (!document) return;
    if (document.kind === "index") {
      for (const manifest of document.index.manifests) await visit(manifest);
      return;
    }
    const { config, layers } = document.manifest;
    for (const { digest } of [config, ...layers]) blobs.add(digest);
    // What is said of an image has a config that is none.
    if (!isConfigType(config.mediaType) || !(await store.info(config.digest))) return;
    const read = await unlessDamaged(readImageConfig(provider, document.manifest));
    for (const chain of chainIds(read?.rootfs.diff_ids ?? [])) chains.add(chain);
  };
  for (const root of roots) await visit(root);
  return { blobs, chains };
}

/** A document; undefined where it is not what its name says, or has gone since it was seen. */
export async function unlessDamaged<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (["data-loss", "not-found", "invalid"].includes(errorCode(error))) return undefined;
    throw error;
  }
}

/** The chain ids of an image's layers, bottom first (image-spec, config, "Layer ChainID"). */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chains: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    chains.push(below ? digestOf(`${below} ${diffId}`) : diffId);
  }
  return chains;
}
