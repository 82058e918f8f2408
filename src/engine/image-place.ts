import { type AbortOptions, type Digest, EngineError } from "../base/index.js";
import {
  type Descriptor,
  formatReference,
  MANIFEST_BYTES_MAX,
  type ManifestOrIndex,
  openLayout,
  type Provider,
  parseManifestOrIndex,
  parseReference,
  type Reference,
  readAll,
  repositoryName,
  withDefaultTag,
} from "../oci/index.js";
import type { Registry, RepositoryOptions } from "../registry/index.js";
import { parseLayoutIdentifier } from "../sources/index.js";

/** Where an image is that no build made here: in a repository, or in an image layout on this machine. */
export type ImagePlace =
  | { readonly kind: "registry"; readonly reference: Reference }
  | { readonly kind: "layout"; readonly dir: string; readonly tag: string | undefined; readonly digest?: Digest };

/** A manifest or index as it lies there. */
export interface FoundDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly content: ManifestOrIndex;
}

/** Reads `NAME` or `oci-layout://DIR[:TAG][@DIGEST]` with an absolute path; `latest` is what is meant where neither tag nor digest is said. Throws `invalid`. */
export function parseImagePlace(text: string): ImagePlace {
  if (!text.startsWith(LAYOUT_SCHEME)) return { kind: "registry", reference: withDefaultTag(parseReference(text)) };
  const { dir, tag, digest } = parseLayoutIdentifier(text);
  return digest === undefined ? { kind: "layout", dir, tag } : { kind: "layout", dir, tag: undefined, digest };
}

/** The place in full: `docker.io/library/alpine:3`. */
export function formatImagePlace(place: ImagePlace): string {
  if (place.kind === "registry") return formatReference(place.reference);
  const { dir, tag, digest } = place;
  return `${LAYOUT_SCHEME}${dir}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** The place without tag and digest. */
export function repositoryOf(place: ImagePlace): string {
  return place.kind === "registry" ? repositoryName(place.reference) : place.dir;
}

/** The place of DIGEST beside it; a tag stays, as in `alpine:3@sha256:…`. */
export function placeOfDigest(place: ImagePlace, digest: Digest): ImagePlace {
  if (place.kind === "registry") return { kind: "registry", reference: { ...place.reference, digest } };
  return { kind: "layout", dir: place.dir, tag: undefined, digest };
}

/** What reads the blobs and documents of PLACE. Errors: `not-found` where there is no layout, `invalid`. */
export async function openImagePlace(registry: Registry, place: ImagePlace, options: PlaceOptions): Promise<Provider> {
  if (place.kind === "layout") return openLayout(place.dir, options);
  return registry.repository(place.reference, reachedBy(options));
}

export interface PlaceOptions extends AbortOptions {
  /** Speak with a registry whose certificate nobody vouches for, or in the clear. */
  readonly insecure?: boolean | undefined;
  /** Ask the registry itself, not its mirrors: what is read is to be written again. */
  readonly direct?: boolean | undefined;
}

/** What the place stands for now, checked. Errors: `not-found`, `denied`, `unavailable`, `data-loss`, `invalid`, `unsupported`. */
export async function resolveImagePlace(
  registry: Registry,
  place: ImagePlace,
  options: PlaceOptions,
): Promise<FoundDocument> {
  if (place.kind === "registry") {
    const { digest, tag = "latest" } = place.reference;
    const repository = registry.repository(place.reference, reachedBy(options));
    const selector = digest === undefined ? { tag } : { digest };
    return readDocument(repository, await repository.resolve(selector, options), options);
  }
  const layout = await openLayout(place.dir, options);
  const found = await layout.resolve({ tag: place.tag, digest: place.digest }, options);
  // What the layout calls it concerns nobody else.
  const { annotations: _, ...descriptor } = found;
  return readDocument(layout, descriptor, options);
}

/** The document that DESCRIPTOR describes, read from PROVIDER. */
export async function readDocument(
  provider: Provider,
  descriptor: Descriptor,
  options: AbortOptions,
): Promise<FoundDocument> {
  const bytes = await readAll(provider, descriptor, MANIFEST_BYTES_MAX, options);
  return { descriptor, bytes, content: parseManifestOrIndex(bytes, descriptor.mediaType) };
}

/** The repository that a place names. Throws `unsupported` for a layout. */
export function referenceOf(place: ImagePlace): Reference {
  if (place.kind === "registry") return place.reference;
  throw new EngineError("unsupported", `${formatImagePlace(place)}: images are only written to registries`);
}

const LAYOUT_SCHEME = "oci-layout://";

function reachedBy({ insecure = false, direct = false }: PlaceOptions): RepositoryOptions {
  return { insecure, direct };
}
