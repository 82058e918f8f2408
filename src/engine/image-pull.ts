import { type AbortOptions, forAll } from "../base/index.js";
import type { ExportOptions } from "../exporters/index.js";
import {
  configPlatform,
  type Descriptor,
  formatReference,
  isIndexType,
  type Provider,
  parseReference,
  readManifestOrIndex,
  reported,
  withDefaultTag,
} from "../oci/index.js";
import type { Registry } from "../registry/index.js";
import type { ImageSource, SourceImage } from "../sources/index.js";
import type { ContentStore, ImageStore, PlatformImage } from "../store/index.js";
import { wantedPlatform } from "./image-lookup.js";
import type { PulledImage } from "./image-requests.js";

/** What images are pulled with. */
export interface PullEngine {
  readonly imageSource: ImageSource;
  readonly store: ContentStore;
  readonly images: ImageStore;
  readonly registry: Registry;
}

/** An image to pull. */
export interface PullRequest extends ExportOptions {
  readonly name: string;
  readonly platform?: string | undefined;
}

/** Fetches an image for one platform, whole, and gives it its name. Errors: those of the image source. */
export async function pullStoredImage(engine: PullEngine, request: PullRequest): Promise<PulledImage> {
  const { imageSource, images, store, registry } = engine;
  const { name, platform, signal, onProgress } = request;
  const full = formatReference(withDefaultTag(parseReference(name)));
  const before = images.get(full);
  const image = await imageSource.resolve(name, wantedPlatform(platform), { pull: true, signal });
  await fetchAll(store, registry.repository(parseReference(name)), { image, signal, onProgress });
  const pulled = { imageId: image.imageId, manifest: { ...image.manifest, platform: configPlatform(image.config) } };
  // Other platforms of the same index may have been pulled before.
  const others = before?.target.digest === image.root.digest ? before.platforms : [];
  const platforms = [pulled, ...others.filter(({ imageId }) => imageId !== pulled.imageId)];
  await images.put({ name: full, target: bare(image.root), platforms }, abortOf({ signal }));
  const wasHere = isSame(before?.platforms, pulled) && before?.target.digest === image.root.digest;
  return { name: full, imageId: image.imageId, digest: image.root.digest, wasHere };
}

/** The image's own provider reads by way of the store; what the store waits for can't. */
async function fetchAll(
  store: ContentStore,
  provider: Provider,
  { image: { root, manifest, layers }, signal, onProgress }: ExportOptions & { readonly image: SourceImage },
): Promise<void> {
  const documents = [root, manifest];
  for (const document of documents) await store.ensure(document, provider, abortOf({ signal }));
  const content = await readManifestOrIndex(store, manifest, abortOf({ signal }));
  if (content.kind === "manifest") await store.ensure(content.manifest.config, provider, abortOf({ signal }));
  const fetch = async ({ descriptor }: { readonly descriptor: Descriptor }, one: AbortSignal): Promise<void> => {
    const { digest: id, size: total } = descriptor;
    onProgress?.({ id, current: 0, total, done: false });
    const told: Provider = reported(provider, (_, current) => onProgress?.({ id, current, total, done: false }));
    await store.ensure(descriptor, told, { signal: one });
    onProgress?.({ id, current: total, total, done: true });
  };
  await forAll(layers, fetch, abortOf({ signal }));
}

function isSame(platforms: readonly PlatformImage[] | undefined, { imageId }: PlatformImage): boolean {
  return platforms?.some((each) => each.imageId === imageId) ?? false;
}

/** The root of an image that has no index is described without a platform of its own. */
function bare(root: Descriptor): Descriptor {
  const { mediaType, digest, size } = root;
  return isIndexType(mediaType) ? root : { mediaType, digest, size };
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}
