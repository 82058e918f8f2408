import { formatPlatform, readImageConfig, readManifestOrIndex } from "../oci/index.js";
import type { ContentStore, ImageStore, NamedImage } from "../store/index.js";
import type { StoredImage } from "./request.js";

/** The images that have names here, newest first. */
export async function listImages({
  images,
  store,
}: {
  readonly images: ImageStore;
  readonly store: ContentStore;
}): Promise<readonly StoredImage[]> {
  const listed = await Promise.all(images.list().map((image) => describe(image, store)));
  return listed.sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
}

async function describe(image: NamedImage, store: ContentStore): Promise<StoredImage> {
  const platforms = image.platforms.map(({ manifest }) =>
    manifest.platform ? formatPlatform(manifest.platform) : "unknown",
  );
  const [first] = image.platforms;
  const base = {
    name: image.name,
    imageId: first?.imageId ?? image.target.digest,
    digest: image.target.digest,
    platforms,
  };
  if (!first || !(await store.info(first.manifest.digest))) return { ...base, sizeBytes: 0, createdAt: undefined };
  const document = await readManifestOrIndex(store, first.manifest);
  if (document.kind === "index") return { ...base, sizeBytes: 0, createdAt: undefined };
  const { config, layers } = document.manifest;
  const { created } = await readImageConfig(store, document.manifest);
  const createdAt = created === undefined ? undefined : Date.parse(created);
  return { ...base, sizeBytes: layers.reduce((sum, { size }) => sum + size, config.size), createdAt };
}
