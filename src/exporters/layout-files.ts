import { type AbortOptions, hexOf } from "../base/index.js";
import {
  type Bytes,
  type Descriptor,
  encodeDescriptor,
  familiarReference,
  goJson,
  IMAGE_NAME_ANNOTATION,
  type JsonValue,
  MediaType,
  type Provider,
  parseReference,
  REF_NAME_ANNOTATION,
} from "../oci/index.js";
import type { WrittenImage, WrittenImages } from "./image.js";

/** A file of an image layout (image-spec, image layout). */
export interface LayoutFile {
  /** With slashes, relative to the layout. */
  readonly name: string;
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  read(options: AbortOptions): Bytes;
}

/** An image in a layout's index, and when it was written (RFC 3339). */
export interface IndexEntry {
  readonly root: Descriptor;
  readonly createdAt: string;
}

const LAYOUT_FILE = '{"imageLayoutVersion":"1.0.0"}';
const CREATED_ANNOTATION = "org.opencontainers.image.created";

/** `oci-layout`: what makes a directory a layout. */
export function layoutMarker(): LayoutFile {
  return textFile("oci-layout", LAYOUT_FILE, 0o444);
}

/** The blobs of images, each once, those of their layers included. */
export function blobFiles({ root, images, provider }: WrittenImages): readonly LayoutFile[] {
  const all = [
    root,
    ...images.flatMap(({ manifest, config, layers, attestations }) => [
      ...[manifest, config, ...layers.map(descriptorOf)],
      ...(attestations ? [attestations.manifest, ...attestations.blobs] : []),
    ]),
  ];
  return blobFilesOf(all, provider);
}

/** The files of BLOBS, each once. */
export function blobFilesOf(blobs: readonly Descriptor[], store: Provider): readonly LayoutFile[] {
  return [...new Map(blobs.map((descriptor) => [descriptor.digest, descriptor])).values()].map((descriptor) => ({
    name: `blobs/sha256/${hexOf(descriptor.digest)}`,
    mode: 0o444,
    size: descriptor.size,
    read: (options) => store.read(descriptor, options),
  }));
}

/** `index.json` with DESCRIPTORS. */
export function indexFile(descriptors: readonly Descriptor[]): LayoutFile {
  const head = `"schemaVersion":2,"mediaType":${goJson(MediaType.ociIndex)}`;
  return textFile("index.json", `{${head},"manifests":[${descriptors.map(encodeDescriptor).join(",")}]}`, 0o644);
}

/** ENTRY as the index lists it: once for each of NAMES (in full), once if there are none. */
export function listed({ root, createdAt }: IndexEntry, names: readonly string[]): readonly Descriptor[] {
  const annotations = { [CREATED_ANNOTATION]: createdAt, ...root.annotations };
  const entry = { ...root, annotations };
  if (names.length === 0) return [entry];
  return names.map((name) => ({
    ...entry,
    annotations: { ...annotations, [IMAGE_NAME_ANNOTATION]: name, [REF_NAME_ANNOTATION]: refNameOf(name) },
  }));
}

/** An image as docker lists it: what runs on one platform. */
export interface DockerImage extends Pick<WrittenImage, "config" | "layers"> {
  /** In full. */
  readonly names: readonly string[];
}

/** `manifest.json`, by which docker and others find the parts of IMAGES. */
export function dockerManifestFile(images: readonly DockerImage[]): LayoutFile {
  return textFile("manifest.json", goJson(images.map(dockerEntry)), 0o644);
}

function dockerEntry({ config, layers, names }: DockerImage): ReadonlyMap<string, JsonValue> {
  const place = ({ digest }: Descriptor) => `blobs/sha256/${hexOf(digest)}`;
  const tags = names.map((name) => familiarReference(parseReference(name)));
  return new Map<string, JsonValue>([
    ["Config", place(config)],
    ["RepoTags", tags.length === 0 ? null : tags],
    ["Layers", layers.map(({ descriptor }) => place(descriptor))],
  ]);
}

/** The tag, or the whole of a name without one. */
function refNameOf(name: string): string {
  const { tag, digest } = parseReference(name);
  if (tag === undefined) return name;
  return digest === undefined ? tag : `${tag}@${digest}`;
}

function descriptorOf({ descriptor }: { readonly descriptor: Descriptor }): Descriptor {
  return descriptor;
}

function textFile(name: string, text: string, mode: number): LayoutFile {
  const bytes = Buffer.from(text);
  async function* read() {
    yield bytes;
  }
  return { name, mode, size: bytes.length, read };
}
