import { type AbortOptions, type Digest, EngineError } from "../base/index.js";
import {
  configPlatform,
  type Descriptor,
  formatPlatform,
  type ImageConfig,
  isConfigType,
  isIndexType,
  isManifestType,
  type Manifest,
  normalizePlatform,
  type Provider,
  readAll,
  readImageConfig,
} from "../oci/index.js";
import { type FoundDocument, formatImagePlace, type ImagePlace, placeOfDigest, readDocument } from "./image-place.js";

/** What an image in a registry is. */
export interface ImageReport {
  /** In full: `docker.io/library/alpine:3`. */
  readonly name: string;
  readonly descriptor: Descriptor;
  /** The document's bytes, as they are there. */
  readonly raw: Uint8Array;
  /** What an index lists, each with its own name; undefined for a manifest. */
  readonly manifests: readonly ListedManifest[] | undefined;
  /** The index's own annotations. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Images by their platforms, with their configs and what is said of them; empty unless it was asked for. */
  readonly images: ReadonlyMap<string, ReportedImage>;
}

export interface ListedManifest {
  readonly name: string;
  readonly descriptor: Descriptor;
}

/** One platform's image. */
export interface ReportedImage {
  readonly config: ImageConfig;
  /** The predicate of the SLSA provenance, if there is one. */
  readonly provenance?: unknown;
  /** The predicates of SPDX documents. */
  readonly sboms: readonly unknown[];
}

/** How much is read: the document alone, or the images under it too, or also what attestations say of them. */
export type ReportDetail = "document" | "images" | "statements";

/** What DOCUMENT, found at PLACE, says; PROVIDER reads the rest. Errors: those of reading, `invalid`. */
export async function reportImage(
  place: ImagePlace,
  document: FoundDocument,
  provider: Provider,
  { detail, ...options }: AbortOptions & { readonly detail: ReportDetail },
): Promise<ImageReport> {
  const { descriptor, bytes, content } = document;
  const index = content.kind === "index" ? content.index : undefined;
  return {
    name: formatImagePlace(place),
    descriptor,
    raw: bytes,
    manifests: index?.manifests.map((each) => ({
      name: formatImagePlace(placeOfDigest(place, each.digest)),
      descriptor: each,
    })),
    annotations: index?.annotations ?? {},
    images:
      detail === "document"
        ? new Map()
        : await readImages(provider, document, { ...options, statements: detail === "statements" }),
  };
}

/** Indexes within indexes. */
const INDEX_DEPTH_MAX = 3;
/** Bytes of one statement about an image. */
const STATEMENT_BYTES_MAX = 64 * 1024 * 1024;
/** Annotations that name the manifest that another one is about; the second is the older one. */
const SUBJECTS = ["vnd.docker.reference.digest", "com.docker.reference.digest"];
const PREDICATE_TYPE = "in-toto.io/predicate-type";
const SPDX_TYPE = "https://spdx.dev/Document";
const SLSA_TYPES = "https://slsa.dev/provenance/";
const STATEMENT_TYPE = "application/vnd.in-toto+json";
const ENVELOPE_TYPE = /^application\/vnd\.in-toto\..*\+dsse$/;

interface Found {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

async function readImages(
  provider: Provider,
  document: FoundDocument,
  options: AbortOptions & { readonly statements: boolean },
): Promise<ReadonlyMap<string, ReportedImage>> {
  const found = await manifestsOf(provider, document, options, 0);
  const images = new Map<string, ReportedImage>();
  for (const { descriptor, manifest } of found.filter((each) => subjectOf(each) === undefined)) {
    if (!isConfigType(manifest.config.mediaType)) continue;
    const config = await readImageConfig(provider, manifest, options);
    const platform = descriptor.platform ? normalizePlatform(descriptor.platform) : configPlatform(config);
    const about = options.statements ? found.filter((each) => subjectOf(each) === descriptor.digest) : [];
    images.set(formatPlatform(platform), { config, ...(await statementsOf(provider, about, options)) });
  }
  return new Map([...images].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function manifestsOf(
  provider: Provider,
  { descriptor, content }: FoundDocument,
  options: AbortOptions,
  depth: number,
): Promise<readonly Found[]> {
  if (content.kind === "manifest") return [{ descriptor, manifest: content.manifest }];
  if (depth > INDEX_DEPTH_MAX) throw new EngineError("invalid", `${descriptor.digest}: indexes are nested too deeply`);
  const found: Found[] = [];
  for (const each of content.index.manifests) {
    if (!isManifestType(each.mediaType) && !isIndexType(each.mediaType)) continue;
    found.push(...(await manifestsOf(provider, await readDocument(provider, each, options), options, depth + 1)));
  }
  return found;
}

function subjectOf({ descriptor }: Found): Digest | undefined {
  const { annotations = {} } = descriptor;
  return SUBJECTS.map((name) => annotations[name]).find((digest) => digest !== undefined) as Digest | undefined;
}

async function statementsOf(
  provider: Provider,
  about: readonly Found[],
  options: AbortOptions,
): Promise<Omit<ReportedImage, "config">> {
  let provenance: unknown;
  const sboms: unknown[] = [];
  for (const layer of about.flatMap(({ manifest }) => manifest.layers)) {
    const type = layer.annotations?.[PREDICATE_TYPE] ?? "";
    const isProvenance = type.startsWith(SLSA_TYPES);
    if (!isProvenance && type !== SPDX_TYPE) continue;
    if (layer.mediaType !== STATEMENT_TYPE && !ENVELOPE_TYPE.test(layer.mediaType)) continue;
    const predicate = predicateOf(await readAll(provider, layer, STATEMENT_BYTES_MAX, options), layer);
    if (isProvenance) provenance = predicate;
    else sboms.push(predicate);
  }
  return { sboms, ...(provenance === undefined ? {} : { provenance }) };
}

/** What a statement says of its subject; it may lie in an envelope with signatures. */
function predicateOf(bytes: Buffer, { digest, mediaType }: Descriptor): unknown {
  try {
    const outer = JSON.parse(bytes.toString()) as { payload?: unknown };
    const payload = Buffer.from(String(outer.payload), "base64").toString();
    const statement = ENVELOPE_TYPE.test(mediaType) ? JSON.parse(payload) : outer;
    return (statement as { predicate?: unknown } | null)?.predicate;
  } catch (cause) {
    throw new EngineError("invalid", `the statement ${digest} can't be read`, { cause });
  }
}
