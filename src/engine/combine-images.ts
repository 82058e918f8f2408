import { type AbortOptions, type Digest, digestOf, EngineError, forAll } from "../base/index.js";
import type { Annotation } from "../exporters/index.js";
import {
  configPlatform,
  type Descriptor,
  encodeIndex,
  formatPlatform,
  type Index,
  isConfigType,
  MediaType,
  type Platform,
  type Provider,
  readImageConfig,
  samePlatform,
} from "../oci/index.js";
import type { FoundDocument, ImagePlace } from "./image-place.js";

/** One image, or several of an index, that a new image is made of. */
export interface CombinedSource {
  readonly place: ImagePlace;
  readonly document: FoundDocument;
  /** What the new index is to say of a manifest: it takes the place of what its document says. */
  readonly descriptor: Descriptor;
  /** Reads what the document points to. */
  readonly provider: Provider;
}

/** How sources become one image. */
export interface Combining extends AbortOptions {
  readonly annotations: readonly Annotation[];
  /** Whether a single manifest gets an index, too. */
  readonly preferIndex: boolean;
  /** The only platforms that are kept; all where there are none. */
  readonly platforms: readonly Platform[];
}

/** A new image: its outermost document, and the manifests under it with where each of them is. */
export interface CombinedImage {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly parts: readonly { readonly descriptor: Descriptor; readonly source: CombinedSource }[];
}

/**
 * What `docker buildx imagetools create` makes of SOURCES: an index of all their manifests (Docker's list if all are Docker's), or, of one
 * source that is left as it is, its very bytes. Errors: `invalid`, `unsupported`, `not-found` where no platform is left, and those of reading.
 */
export async function combineImages(sources: readonly CombinedSource[], options: Combining): Promise<CombinedImage> {
  const known = await forAll(sources, (source, signal) => withPlatform(source, { signal }), options);
  const [only] = known;
  if (only === undefined) throw new EngineError("invalid", "no sources specified");
  const { annotations, preferIndex, platforms } = options;
  if (known.length === 1 && annotations.length === 0) {
    const { descriptor, document } = only;
    if (document.content.kind === "index") return filtered(document.content.index, { ...only, document }, platforms);
    if (!preferIndex) {
      if (platforms.length > 0 && !isWanted(descriptor.platform, platforms))
        throw new EngineError(
          "not-found",
          `input platform ${formatPlatform(descriptor.platform ?? UNKNOWN)} does not match any of the provided platforms`,
        );
      return { descriptor, bytes: document.bytes, parts: [{ descriptor, source: only }] };
    }
  }
  const { index, origins } = indexOf(known, annotations);
  return select(index, { origins, platforms, unchanged: undefined });
}

const UNKNOWN: Platform = { os: "", architecture: "" };
const DOCKER_TYPES = "application/vnd.docker.";
/** What BuildKit notes with the manifests that say something of another one. */
const REFERENCE_TYPE = "vnd.docker.reference.type";
const REFERENCE_DIGEST = "vnd.docker.reference.digest";

/** A manifest whose platform nobody said is for the one its config names. */
async function withPlatform(source: CombinedSource, options: AbortOptions): Promise<CombinedSource> {
  const { descriptor, document, provider } = source;
  const { platform } = descriptor;
  if (document.content.kind === "index" || (platform?.os && platform.architecture)) return source;
  const { manifest } = document.content;
  if (!isConfigType(manifest.config.mediaType)) return source;
  const config = configPlatform(await readImageConfig(provider, manifest, options));
  const { os, architecture, variant } = platform ?? UNKNOWN;
  const ofConfig = architecture === "";
  const wanted = ofConfig ? (variant ?? config.variant) : variant;
  const complete: Platform = {
    ...platform,
    os: os || config.os,
    architecture: architecture || config.architecture,
    ...(wanted === undefined ? {} : { variant: wanted }),
  };
  return { ...source, descriptor: { ...descriptor, platform: complete } };
}

type Origins = ReadonlyMap<Digest, CombinedSource>;

function indexOf(
  sources: readonly CombinedSource[],
  annotations: readonly Annotation[],
): { readonly index: Index; readonly origins: Origins } {
  const manifests = new Map<Digest, Descriptor>();
  const origins = new Map<Digest, CombinedSource>();
  for (const source of sources) {
    const { content } = source.document;
    for (const descriptor of content.kind === "index" ? content.index.manifests : [source.descriptor]) {
      manifests.set(descriptor.digest, merged(manifests.get(descriptor.digest), descriptor));
      origins.set(descriptor.digest, source);
    }
  }
  const all = [...manifests.values()];
  // Docker's lists have no place for annotations.
  const isDocker = annotations.length === 0 && all.every(({ mediaType }) => mediaType.startsWith(DOCKER_TYPES));
  const index = isDocker
    ? { mediaType: MediaType.dockerIndex, manifests: all }
    : annotated({ mediaType: MediaType.ociIndex, manifests: all }, annotations);
  return { index, origins };
}

function merged(earlier: Descriptor | undefined, later: Descriptor): Descriptor {
  if (earlier === undefined) return later;
  const platform = later.platform ?? earlier.platform;
  return {
    ...earlier,
    ...(platform ? { platform } : {}),
    annotations: { ...earlier.annotations, ...later.annotations },
  };
}

function annotated(index: Index, annotations: readonly Annotation[]): Index {
  const own: Record<string, string> = {};
  let { manifests } = index;
  for (const { place, platform, key, value } of annotations) {
    switch (place) {
      case "index":
        own[key] = value;
        break;
      case "manifest-descriptor":
        manifests = manifests.map((each) =>
          platform === undefined || (each.platform && samePlatform(platform, each.platform))
            ? { ...each, annotations: { ...each.annotations, [key]: value } }
            : each,
        );
        break;
      case "manifest":
        throw new EngineError("unsupported", `"manifest" annotations are not supported yet`, {
          hint: "write index:KEY=VALUE or manifest-descriptor:KEY=VALUE: manifests are copied as they are",
        });
      case "index-descriptor":
        throw new EngineError("invalid", `"index-descriptor" annotations are invalid while creating an image`);
    }
  }
  return { ...index, manifests, ...(Object.keys(own).length === 0 ? {} : { annotations: own }) };
}

/** A source's own index, as it is if nothing of it is left out. */
function filtered(index: Index, source: CombinedSource, platforms: readonly Platform[]): CombinedImage {
  const origins = new Map(index.manifests.map(({ digest }) => [digest, source]));
  return select(index, { origins, platforms, unchanged: source.document });
}

interface Selecting {
  readonly origins: Origins;
  readonly platforms: readonly Platform[];
  /** The document that the index was read from. */
  readonly unchanged: FoundDocument | undefined;
}

function select(index: Index, { origins, platforms, unchanged }: Selecting): CombinedImage {
  const kept = index.manifests.filter((manifest) => isKept(manifest, index, platforms));
  if (kept.length === 0) throw new EngineError("not-found", "none of the manifests match the provided platforms");
  const parts = kept.flatMap((descriptor) => {
    const source = origins.get(descriptor.digest);
    return source === undefined ? [] : [{ descriptor, source }];
  });
  if (unchanged !== undefined && kept.length === index.manifests.length) return { ...unchanged, parts };
  const bytes = encodeIndex({ ...index, manifests: kept });
  return { descriptor: { mediaType: index.mediaType, digest: digestOf(bytes), size: bytes.length }, bytes, parts };
}

/** What says something of a manifest goes where that one goes. */
function isKept(manifest: Descriptor, index: Index, platforms: readonly Platform[]): boolean {
  if (manifest.platform === undefined || isWanted(manifest.platform, platforms)) return true;
  const { [REFERENCE_TYPE]: type, [REFERENCE_DIGEST]: digest } = manifest.annotations ?? {};
  const subject = type === undefined ? undefined : index.manifests.find((each) => each.digest === digest);
  return subject !== undefined && (subject.platform === undefined || isWanted(subject.platform, platforms));
}

function isWanted(platform: Platform | undefined, platforms: readonly Platform[]): boolean {
  return platforms.length === 0 || platforms.some((wanted) => platform !== undefined && samePlatform(wanted, platform));
}
