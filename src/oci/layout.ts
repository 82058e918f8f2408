import { existsSync } from "node:fs";
import path from "node:path";
import { type AbortOptions, type Digest, EngineError, hexOf, readRegularFile } from "../base/index.js";
import type { Descriptor } from "./descriptor.js";
import { readDockerArchive } from "./docker-archive.js";
import { indexedLayout } from "./indexed-layout.js";
import { type Index, MANIFEST_BYTES_MAX, parseManifestOrIndex } from "./manifest.js";
import { MediaType } from "./media-types.js";
import type { Provider } from "./provider.js";

/** Images in a directory: an OCI image layout (image-spec, image layout), or an unpacked `docker save` archive. */
export interface Layout extends Provider {
  readonly index: Index;
  /** Whether it holds a blob; what its index names may be elsewhere. */
  has(digest: Digest): boolean;
  /**
   * The manifest or index that SELECTOR names; its bytes are read through the layout. A tag the layout doesn't know gives its only
   * image if there is just one, as in BuildKit. Errors: `not-found`.
   */
  resolve(selector: LayoutSelector, options?: AbortOptions): Promise<Descriptor>;
}

export interface LayoutSelector {
  readonly tag?: string | undefined;
  /** Wins over the tag. */
  readonly digest?: Digest | undefined;
}

/** Opens the images in DIR. Errors: `not-found` where there is no layout, `invalid` for a malformed one. Blobs are read later. */
export async function openLayout(dir: string, options?: AbortOptions): Promise<Layout> {
  const indexPath = path.join(dir, "index.json");
  if (!existsSync(indexPath)) {
    if (!existsSync(path.join(dir, "manifest.json"))) {
      throw new EngineError("not-found", `${dir} is no OCI image layout: there is no index.json`);
    }
    const { index, locate } = await readDockerArchive(dir, options);
    return indexedLayout(index, locate);
  }
  const document = parseManifestOrIndex(
    await readRegularFile(indexPath, MANIFEST_BYTES_MAX, options),
    MediaType.ociIndex,
  );
  if (document.kind !== "index") throw new EngineError("internal", `${indexPath} was read as a ${document.kind}`);
  return indexedLayout(document.index, (digest) => path.join(dir, "blobs", "sha256", hexOf(digest)));
}
