import type { Descriptor, Layer, Provider } from "../oci/index.js";
import { type Destination, writeTo } from "./destination.js";
import { timeText } from "./finish-config.js";
import { layoutArchive } from "./layout-archive.js";
import { blobFilesOf, dockerManifestFile, indexFile, layoutMarker, listed } from "./layout-files.js";
import { counted, type ExportOptions, reported } from "./progress.js";

/** An image of the store, on its way into an archive. */
export interface SavedImage {
  readonly root: Descriptor;
  /** The root and all below it. */
  readonly blobs: readonly Descriptor[];
  /** Gives the blobs. */
  readonly provider: Provider;
  /** In full. */
  readonly names: readonly string[];
  /** Milliseconds since the epoch. */
  readonly taggedAt: number;
  /** What those load who know of one platform only. */
  readonly shown: { readonly config: Descriptor; readonly layers: readonly Layer[] };
}

/**
 * Writes images as one archive, an OCI image layout with a manifest.json, and gives its size. A file is there as a whole or not at all; the
 * same images make the same bytes. Errors: those of the providers, `invalid` for a destination that won't do, `denied`, `no-space`.
 */
export async function saveImages(
  images: readonly SavedImage[],
  { destination, ...options }: ExportOptions & { readonly destination: Destination },
): Promise<number> {
  const entries = images.flatMap(({ root, names, taggedAt }) =>
    listed({ root, createdAt: timeText(Math.floor(taggedAt / 1000) * 1000) }, names),
  );
  const shown = images.map(({ shown, names }) => ({ ...shown, names }));
  const blobs = images.flatMap((image) => blobFilesOf(image.blobs, image.provider));
  const distinct = new Map(blobs.map((file) => [file.name, file])).values();
  const files = [layoutMarker(), ...distinct, indexFile(entries), dockerManifestFile(shown)];
  return reported("sending tarball", options, (report) =>
    writeTo(destination, counted(layoutArchive(files, options), report), options),
  );
}
