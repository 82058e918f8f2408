import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { type AbortOptions, type Digest, digestOf, EngineError, errorCode, readRegularFile } from "../base/index.js";
import type { Descriptor } from "./descriptor.js";
import { IMAGE_CONFIG_BYTES_MAX, parseImageConfig } from "./image-config.js";
import { IMAGE_NAME_ANNOTATION, type Locate, REF_NAME_ANNOTATION } from "./indexed-layout.js";
import { parseDocument } from "./json-document.js";
import { encodeManifest, type Index, LAYERS_MAX, MANIFEST_BYTES_MAX } from "./manifest.js";
import { MediaType } from "./media-types.js";
import { formatReference, parseReference, withDefaultTag } from "./reference.js";

/**
 * Reads the archive of an older `docker save`, unpacked into DIR: a manifest.json that names configs and plain layer tars. A
 * manifest is made for each image. The files it names must lie inside DIR. Errors: `invalid`, `not-found`.
 */
export async function readDockerArchive(
  dir: string,
  options?: AbortOptions,
): Promise<{ readonly index: Index; readonly locate: Locate }> {
  const root = await realpath(dir);
  const bytes = await readRegularFile(path.join(root, "manifest.json"), MANIFEST_BYTES_MAX, options);
  const places = new Map<Digest, string | Uint8Array>();
  const manifests: Descriptor[] = [];
  if (existsSync(path.join(root, "version")) && !/^\s*\[/.test(bytes.toString("utf8"))) {
    const hint = "copy the image as oci:DIR or docker-archive:FILE";
    throw new EngineError("unsupported", "images in skopeo's format dir: can't be read", { hint });
  }
  for (const image of parseDocument("manifest.json", archiveSchema, bytes)) {
    manifests.push(...(await readImage(root, image, places, options)));
  }
  return { index: { mediaType: MediaType.ociIndex, manifests }, locate: (digest) => places.get(digest) };
}

/** Images in one archive, and names of one image. */
const ARCHIVE_IMAGES_MAX = 1024;

const imageSchema = v.object({
  Config: v.string(),
  RepoTags: v.pipe(v.nullish(v.array(v.string()), []), v.maxLength(ARCHIVE_IMAGES_MAX)),
  Layers: v.pipe(v.nullish(v.array(v.string()), []), v.maxLength(LAYERS_MAX)),
});
const archiveSchema = v.pipe(v.array(imageSchema), v.maxLength(ARCHIVE_IMAGES_MAX));

type ArchivedImage = v.InferOutput<typeof imageSchema>;

/** Puts IMAGE's blobs into PLACES and gives a descriptor of its manifest for each of its names. */
async function readImage(
  root: string,
  image: ArchivedImage,
  places: Map<Digest, string | Uint8Array>,
  options?: AbortOptions,
): Promise<readonly Descriptor[]> {
  const config = await readRegularFile(await inside(root, image.Config), IMAGE_CONFIG_BYTES_MAX, options);
  const { diff_ids: diffIds } = parseImageConfig(config).rootfs;
  if (diffIds.length !== image.Layers.length) {
    throw new EngineError(
      "invalid",
      `${image.Config} has ${diffIds.length} layers, manifest.json lists ${image.Layers.length}`,
    );
  }
  const layers = await Promise.all(
    diffIds.map(async (digest, position): Promise<Descriptor> => {
      const file = await inside(root, image.Layers[position] ?? "");
      places.set(digest, file);
      return { mediaType: MediaType.dockerLayer, digest, size: (await stat(file)).size };
    }),
  );
  const configDescriptor = { mediaType: MediaType.dockerConfig, digest: digestOf(config), size: config.length };
  const manifest = encodeManifest({ mediaType: MediaType.dockerManifest, config: configDescriptor, layers });
  const descriptor = { mediaType: MediaType.dockerManifest, digest: digestOf(manifest), size: manifest.length };
  places.set(configDescriptor.digest, config).set(descriptor.digest, manifest);
  return image.RepoTags.length === 0 ? [descriptor] : image.RepoTags.map((name) => named(descriptor, name));
}

function named(descriptor: Descriptor, name: string): Descriptor {
  const reference = withDefaultTag(parseReference(name));
  return {
    ...descriptor,
    annotations: {
      [IMAGE_NAME_ANNOTATION]: formatReference(reference),
      ...(reference.tag === undefined ? {} : { [REF_NAME_ANNOTATION]: reference.tag }),
    },
  };
}

/** The file NAME of the archive, which may be a link to another of its files (older archives share layers that way). */
async function inside(root: string, name: string): Promise<string> {
  const file = await realpath(path.join(root, name)).catch((cause: unknown) => {
    if (errorCode(cause) !== "not-found") throw cause;
    throw new EngineError("invalid", `manifest.json names ${JSON.stringify(name)}, which is not in the archive`, {
      cause,
    });
  });
  if (!file.startsWith(root + path.sep))
    throw new EngineError("invalid", `manifest.json names ${JSON.stringify(name)}, which is outside the archive`);
  return file;
}
