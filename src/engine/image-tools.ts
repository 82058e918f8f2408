import { type AbortOptions, EngineError, forAll, systemClock } from "../base/index.js";
import { parseAnnotations } from "../exporters/index.js";
import { type Descriptor, parseDescriptor, parsePlatform } from "../oci/index.js";
import type { ProgressSink } from "../progress/index.js";
import { pushImage, type Registry } from "../registry/index.js";
import { type CombinedImage, type CombinedSource, combineImages } from "./combine-images.js";
import { exporting } from "./exporting.js";
import { progressOf } from "./image-output.js";
import {
  type FoundDocument,
  type ImagePlace,
  openImagePlace,
  parseImagePlace,
  placeOfDigest,
  referenceOf,
  repositoryOf,
  resolveImagePlace,
} from "./image-place.js";
import { type ImageReport, type ReportDetail, reportImage } from "./image-report.js";
import { openRegistry } from "./registries.js";
import type { EngineOptions } from "./request.js";

/** An image to look at. */
export interface InspectImageRequest extends AbortOptions {
  /** `NAME[:TAG|@DIGEST]` or `oci-layout:///DIR[:TAG|@DIGEST]`. */
  readonly name: string;
  /** Default: `document`. */
  readonly detail?: ReportDetail;
}

/** A new image of images that are in registries. */
export interface CreateImageRequest extends AbortOptions {
  /** What it is made of: `NAME[:TAG|@DIGEST]`, `sha256:…`, a descriptor in JSON, `oci-layout:///DIR[:TAG|@DIGEST]`. */
  readonly sources: readonly string[];
  /** What it is to be called. */
  readonly tags: readonly string[];
  /** Whether the first tag's present image is a source, too, and the first. */
  readonly append?: boolean;
  /** `annotation-index.KEY` or `annotation-manifest-descriptor[PLATFORM].KEY`, as outputs have them. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Default: true, a single manifest gets an index around it. */
  readonly preferIndex?: boolean;
  /** `linux/arm64`: only these platforms. */
  readonly platforms?: readonly string[];
  /** Write nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: ProgressSink["emit"];
}

/** What was made. */
export interface CreatedImage {
  readonly descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number };
  /** The manifest or index itself. */
  readonly bytes: Uint8Array;
  /** The repositories that it went to. */
  readonly repositories: readonly string[];
}

type Surroundings = Pick<EngineOptions, "env" | "dockerConfig">;

/**
 * What an image in a registry, or in an image layout, is: its document, the images under it, what is said of them. Errors: `invalid`,
 * `not-found`, `denied`, `unavailable`, `unsupported`, `data-loss`, `canceled`.
 */
export async function inspectImage(request: InspectImageRequest, surroundings: Surroundings): Promise<ImageReport> {
  const place = parseImagePlace(request.name);
  await using registry = openRegistry(surroundings, systemClock);
  const document = await resolveImagePlace(registry, place, request);
  const provider = await openImagePlace(registry, place, request);
  return await reportImage(place, document, provider, { detail: "document", ...request });
}

/**
 * Makes one image of several, without fetching layers to this machine's disk: manifests and what they point to are mounted or copied from
 * repository to repository, the index follows them, and the names come last. Errors as of `inspectImage`.
 */
export async function createImage(request: CreateImageRequest, surroundings: Surroundings): Promise<CreatedImage> {
  const { dryRun = false, annotations = {}, preferIndex = true, signal } = request;
  const wanted = wantedOf(request);
  const tags = request.tags.map(parseImagePlace);
  for (const tag of tags) referenceOf(tag);
  const platforms = (request.platforms ?? []).map((text) => parsePlatform(text, UNSAID));
  await using registry = openRegistry(surroundings, systemClock);
  const places = placesOf(wanted, tags);
  const options = { ...(signal ? { signal } : {}) };
  const sources = await forAll(places, (each, one) => openSource(registry, each, { signal: one }), options);
  const combining = { annotations: parseAnnotations(annotations), preferIndex, platforms, ...options };
  const image = await combineImages(sources, combining);
  const { mediaType, digest, size } = image.descriptor;
  const repositories = [...new Set(tags.map(repositoryOf))].sort();
  if (!dryRun) for (const repository of repositories) await push(registry, image, { repository, tags, request });
  return { descriptor: { mediaType, digest, size }, bytes: image.bytes, repositories };
}

const UNSAID = { os: "linux", architecture: "" };
/** Sources of one image. */
const SOURCES_MAX = 1000;

/** A source as it was asked for. */
interface Wanted {
  readonly text: string;
  readonly place: ImagePlace | undefined;
  /** What is known of it beforehand; a descriptor of nothing but a digest has no media type. */
  readonly descriptor: Descriptor | undefined;
}

function wantedOf({ sources, tags, append = false, dryRun = false }: CreateImageRequest): readonly Wanted[] {
  if (sources.length === 0) throw new EngineError("invalid", "no sources specified");
  if (sources.length > SOURCES_MAX) throw new EngineError("invalid", `more than ${SOURCES_MAX} sources`);
  const [first] = tags;
  if (first === undefined && !dryRun)
    throw new EngineError("invalid", "can't push with no tags specified, please set --tag or --dry-run");
  return (append && first !== undefined ? [first, ...sources] : sources).map(parseSource);
}

function parseSource(text: string): Wanted {
  try {
    if (text.startsWith("sha256:")) {
      const descriptor = parseDescriptor(JSON.stringify({ mediaType: "", digest: text, size: 0 }));
      return { text, place: undefined, descriptor };
    }
    if (!text.trimStart().startsWith("{")) return { text, place: parseImagePlace(text), descriptor: undefined };
    if (/"schemaVersion"\s*:/.test(text))
      throw new EngineError("invalid", "expected an OCI content descriptor, got a manifest or index");
    return { text, place: undefined, descriptor: parseDescriptor(text) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const shown = JSON.stringify(text.slice(0, 200));
    throw new EngineError(
      "invalid",
      `failed to parse source ${shown}, valid sources are digests, references and descriptors: ${why}`,
      { cause },
    );
  }
}

interface Placed extends Wanted {
  readonly place: ImagePlace;
}

/** A source that says no repository is in the only one that anything else says. */
function placesOf(wanted: readonly Wanted[], tags: readonly ImagePlace[]): readonly Placed[] {
  const named = [...wanted.flatMap(({ place }) => (place ? [place] : [])), ...tags];
  const [only] = named;
  if (only === undefined)
    throw new EngineError("invalid", "no repositories specified, please set a reference in tag or source");
  const isOne = new Set(named.map(repositoryOf)).size === 1;
  return wanted.map((each) => {
    if (each.place) return { ...each, place: each.place };
    if (!isOne || each.descriptor === undefined)
      throw new EngineError(
        "invalid",
        `multiple repositories specified, cannot infer repository for ${JSON.stringify(each.text.slice(0, 200))}`,
      );
    return { ...each, place: placeOfDigest(only, each.descriptor.digest) };
  });
}

async function openSource(registry: Registry, wanted: Placed, abort: AbortOptions): Promise<CombinedSource> {
  const { place, descriptor } = wanted;
  const options = { ...abort, direct: true };
  const document = await resolveImagePlace(registry, place, options);
  const provider = await openImagePlace(registry, place, options);
  return { place, document, descriptor: overridden(document, descriptor), provider };
}

/** What the document says of itself, with what the user wants said instead. */
function overridden({ descriptor: found }: FoundDocument, wanted: Descriptor | undefined): Descriptor {
  if (wanted === undefined) return found;
  if (wanted.size !== 0 && wanted.size !== found.size)
    throw new EngineError("invalid", `invalid size mismatch for ${found.digest}, ${wanted.size} != ${found.size}`);
  const { annotations, platform, artifactType } = wanted;
  return {
    ...found,
    ...(annotations ? { annotations } : {}),
    ...(platform ? { platform } : {}),
    ...(artifactType ? { artifactType } : {}),
  };
}

interface Pushing {
  readonly repository: string;
  readonly tags: readonly ImagePlace[];
  readonly request: CreateImageRequest;
}

async function push(
  registry: Registry,
  { descriptor, bytes, parts }: CombinedImage,
  { repository, tags, request }: Pushing,
): Promise<void> {
  const own = tags.filter((tag) => repositoryOf(tag) === repository).map(referenceOf);
  const [first] = own;
  if (first === undefined) return;
  const target = registry.repository(first);
  const { onProgress = () => {}, signal = new AbortController().signal } = request;
  const scope = { progress: { emit: onProgress }, signal, clock: systemClock };
  await exporting(`pushing ${repository}`, scope, async (options) => {
    const copied = { tags: [], onProgress: progressOf(repository, options) };
    // One after another: what several have in common is sent once.
    for (const { descriptor: part, source } of parts)
      await pushImage(target, part, source.provider, { ...copied, ...originOf(source), signal });
    const names = own.map(({ tag, digest }) => {
      if (digest !== undefined && digest !== descriptor.digest)
        throw new EngineError(
          "invalid",
          `target ${repository}@${digest} requested another digest than ${descriptor.digest}`,
        );
      return tag ?? descriptor.digest;
    });
    for (const name of names) {
      const id = `pushing ${descriptor.digest} to ${repository}:${name}`;
      options.onProgress?.({ id, done: false });
      await target.putManifest(descriptor, bytes, name, { signal });
      options.onProgress?.({ id, done: true });
    }
  });
}

/** Where the registry may mount blobs from. */
function originOf({ place }: CombinedSource) {
  return place.kind === "registry" ? { origins: () => [place.reference] } : {};
}
