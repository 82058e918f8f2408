import { type Clock, EngineError } from "../base/index.js";
import { type Descriptor, REF_NAME_ANNOTATION } from "../oci/index.js";
import type { ImageOutput } from "./attributes.js";
import { type Destination, writeTo } from "./destination.js";
import { effectiveEpoch } from "./epoch.js";
import { timeText } from "./finish-config.js";
import type { ExportedImage, WrittenImages } from "./image.js";
import type { ImageWriter } from "./image-writer.js";
import { layoutArchive } from "./layout-archive.js";
import { addToLayout } from "./layout-directory.js";
import { blobFiles, dockerManifestFile, indexFile, layoutMarker, listed } from "./layout-files.js";
import { counted, type ExportOptions, reported } from "./progress.js";
import { fullNames } from "./store-image.js";

/** What image archives are made with. */
export interface ImageExporter {
  readonly writer: ImageWriter;
  readonly clock: Clock;
}

/** An image archive to write. */
export interface ImageExport extends ExportOptions {
  readonly images: readonly ExportedImage[];
  /** The build's; those of the output are for builds that have none. */
  readonly names: readonly string[];
  readonly destination: Destination;
  readonly output: ImageOutput;
  /** What the build fixes, in seconds. */
  readonly sourceDateEpoch?: number | undefined;
  /** Whether an only image has an index, too. */
  readonly multiPlatform?: boolean | undefined;
}

export interface ExportedArchive extends WrittenImages {
  /** In full. */
  readonly names: readonly string[];
  /** Bytes written. */
  readonly sizeBytes: number;
}

/**
 * Writes an OCI image layout, as an archive or a directory. An archive is there as a whole or not at all; equal images at equal times make
 * equal bytes. Errors: those of the writer, `invalid` for a destination or names that won't do, `denied`, `no-space`.
 */
export async function exportOci(exporter: ImageExporter, request: ImageExport): Promise<ExportedArchive> {
  return exportImages(exporter, request, "oci");
}

/** Writes an archive that `docker load` and others take: an OCI image layout that holds one image, with a manifest.json. */
export async function exportDocker(exporter: ImageExporter, request: ImageExport): Promise<ExportedArchive> {
  if (request.images.length > 1 || request.multiPlatform)
    throw new EngineError("unsupported", "docker exporter does not currently support exporting manifest lists");
  return exportImages(exporter, request, "docker");
}

async function exportImages(
  { writer, clock }: ImageExporter,
  request: ImageExport,
  type: "oci" | "docker",
): Promise<ExportedArchive> {
  const { images, destination, output, multiPlatform, signal, onProgress } = request;
  const options = { signal, onProgress };
  const names = fullNames(request.names.length > 0 ? request.names : output.names);
  const directory = output.tar ? undefined : directoryOf(destination, type);
  const sourceDateEpoch = effectiveEpoch(output.sourceDateEpoch, request.sourceDateEpoch);
  const asked = { ...output, ...options, names, sourceDateEpoch, multiPlatform };
  const written = await writer.write(images, { ...asked, complete: true, passing: true });
  const now = Math.floor(sourceDateEpoch ?? clock.now() / 1000) * 1000;
  const entry = { root: written.root, createdAt: timeText(now) };
  const blobs = blobFiles(written);
  if (directory !== undefined) {
    const entries = listed(entry, names);
    const named = names.length > 0 ? entries : entries.map((each) => tagged(each, "latest"));
    const sizeBytes = await addToLayout(directory, { blobs, entries: named }, options);
    return { ...written, names, sizeBytes };
  }
  const [only] = written.images;
  const manifest = type === "docker" && only ? [dockerManifestFile([{ ...only, names }])] : [];
  const files = [layoutMarker(), ...blobs, indexFile(listed(entry, names)), ...manifest];
  const sizeBytes = await reported("sending tarball", options, (report) =>
    writeTo(destination, counted(layoutArchive(files, options), report), options),
  );
  return { ...written, names, sizeBytes };
}

function directoryOf(destination: Destination, type: string): string {
  if (typeof destination !== "string")
    throw new EngineError("invalid", `dest cannot be stdout for ${type} exporter with tar=false`);
  return destination;
}

function tagged(entry: Descriptor, tag: string): Descriptor {
  return { ...entry, annotations: { ...entry.annotations, [REF_NAME_ANNOTATION]: tag } };
}
