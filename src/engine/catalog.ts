import { EngineError, errorCode, firstError, messageOf } from "../base/index.js";
import type { ResolvedImage } from "../frontend/index.js";
import {
  formatPlatform,
  formatReference,
  openLayout,
  type Platform,
  type Provider,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../oci/index.js";
import type { ImageResolver, ResolvedLayers } from "../ops/index.js";
import type { Registry } from "../registry/index.js";
import { DamagedLayer, type FetchLayer, type ImageLayer, type KnownLayer } from "../snapshot/index.js";
import { type ImageSource, parseLayoutIdentifier, resolveLayoutImage, type SourceImage } from "../sources/index.js";
import type { ContentStore } from "../store/index.js";

const IMAGE_SCHEME = "docker-image://";
const LAYOUT_SCHEME = "oci-layout://";
/** Before the place of a layer that only a cache of another machine names. */
const CACHE_PREFIX = "cache+";

/** The images of one build: each name is resolved once, and stays what it was. */
export interface Catalog extends ImageResolver {
  resolve(identifier: string, platform: Platform, options: { readonly signal: AbortSignal }): Promise<ResolvedImage>;
  /** The layers of the images that are known by now. */
  known(): readonly (readonly ImageLayer[])[];
}

/** A catalog for one build. PULL: ask the registry what tags stand for now. */
export function createCatalog(source: ImageSource, pull: boolean): Catalog {
  const found = new Map<string, Promise<SourceImage>>();
  const nameOf = (identifier: string, platform: Platform) => `${identifier} ${formatPlatform(platform)}`;
  const known = new Map<string, readonly ImageLayer[]>();
  const find = (identifier: string, platform: Platform, signal: AbortSignal): Promise<SourceImage> => {
    const name = nameOf(identifier, platform);
    const asked = found.get(name);
    if (asked) return asked;
    const image = identifier.startsWith(LAYOUT_SCHEME)
      ? resolveLayoutImage(identifier, platform, { signal })
      : source.resolve(imageName(identifier), platform, { pull, signal });
    found.set(name, image);
    image.then(
      (each) => known.set(name, layersOf(identifier, each)),
      () => found.delete(name), // who asks once more may do so for longer
    );
    return image;
  };
  return {
    async resolve(identifier, platform, { signal }) {
      const image = await find(identifier, platform, signal);
      const pinned = pin(identifier, image);
      found.set(nameOf(pinned, platform), Promise.resolve(image));
      return { identifier: pinned, digest: image.root.digest, config: image.config };
    },
    async layers(identifier, platform, { signal }): Promise<ResolvedLayers> {
      const image = await find(identifier, platform, signal);
      return { manifest: image.manifest.digest, layers: layersOf(identifier, image) };
    },
    known: () => [...known.values()],
  };
}

function layersOf(identifier: string, image: SourceImage): readonly ImageLayer[] {
  const origin = image.isLocal ? undefined : pin(identifier, image);
  return image.layers.map((layer) => ({ ...layer, origin }));
}

function imageName(identifier: string): string {
  if (identifier.startsWith(IMAGE_SCHEME)) return identifier.slice(IMAGE_SCHEME.length);
  throw new EngineError("invalid", `${JSON.stringify(identifier)} names no image`);
}

/** The identifier with the digest it stands for. */
function pin(identifier: string, image: SourceImage): string {
  if (identifier.startsWith(LAYOUT_SCHEME)) {
    const { dir, tag } = parseLayoutIdentifier(identifier);
    return `${LAYOUT_SCHEME}${dir}:${tag}@${image.root.digest}`;
  }
  const { digest: _, ...reference } = withDefaultTag(parseReference(imageName(identifier)));
  return `${IMAGE_SCHEME}${formatReference({ ...reference, digest: image.root.digest })}`;
}

/** Whether a layer's place is no registry, and may be gone when the build is: a directory of this machine, a cache. */
export function isPassingOrigin(origin: string): boolean {
  return !placeOf(origin).startsWith(IMAGE_SCHEME);
}

/** The place of a layer of a cache. */
export function cacheOrigin(origin: string): string {
  return `${CACHE_PREFIX}${origin}`;
}

/** Whether a layer's place is a cache. */
export function isCacheOrigin(origin: string): boolean {
  return origin.startsWith(CACHE_PREFIX);
}

/** ORIGIN, whether or not it is a cache's. */
export function placeOf(origin: string): string {
  return isCacheOrigin(origin) ? origin.slice(CACHE_PREFIX.length) : origin;
}

/** Whether only caches know where a layer is: whoever can't have it makes it. */
function isOfCache(origins: readonly string[]): boolean {
  return origins.length > 0 && origins.every(isCacheOrigin);
}

/** The image that a layer's place names; undefined for a place that is no registry's. */
export function originReference(origin: string): Reference | undefined {
  const place = placeOf(origin);
  return place.startsWith(IMAGE_SCHEME) ? parseReference(imageName(place)) : undefined;
}

/** What layers are fetched with. */
export interface LayerFetching {
  readonly store: ContentStore;
  readonly registry: Registry;
  /** Places that only a build can read, since it has their credentials, by their names. */
  readonly lent: ReadonlyMap<string, Provider>;
}

/** Fetches layers from where they were seen, into the content store: the first place that has the blob. */
export function createLayerFetcher(fetching: LayerFetching): FetchLayer {
  const { store } = fetching;
  return async (layer, { signal, onProgress }) => {
    const { descriptor, origins } = layer;
    const total = descriptor.size;
    const failures: PlaceFailure[] = [];
    if (await store.info(descriptor.digest)) return store.path(descriptor.digest);
    for (const origin of origins) {
      try {
        const provider = counted(await providerOf(placeOf(origin), fetching), (current) =>
          onProgress?.({ current, total, unit: "bytes" }),
        );
        await store.ensure(descriptor, provider, { signal });
        return store.path(descriptor.digest);
      } catch (error) {
        if (errorCode(error) === "canceled" || errorCode(error) === "no-space") throw error;
        failures.push({ origin, error });
      }
    }
    throw told(layer, failures);
  };
}

/** Why a layer could not be had from one of its places. */
interface PlaceFailure {
  readonly origin: string;
  readonly error: unknown;
}

/** A layer that a cache knows of, and that can't be had, or that is gone wherever it was seen: whoever needs it has to make it, if that can be done. */
export interface UnhadLayer {
  readonly image: KnownLayer;
  readonly message: string;
  /** Places that haven't got it, or not as it was. */
  readonly gone: readonly string[];
  /** Places that can't be read. */
  readonly unread: readonly string[];
  /** Places that say of it what isn't so. */
  readonly lying: readonly string[];
}

class LostLayer extends EngineError implements UnhadLayer {
  readonly image: KnownLayer;
  readonly gone: readonly string[];
  readonly unread: readonly string[];
  readonly lying = [];

  constructor(image: KnownLayer, message: string, failures: readonly PlaceFailure[]) {
    const cause = failures[0]?.error;
    super(errorCode(cause), message, { cause, hint: hintOf(cause) ?? NOT_HERE });
    this.image = image;
    this.gone = failures.filter(isGone).map(({ origin }) => origin);
    this.unread = failures.filter((failure) => !isGone(failure)).map(({ origin }) => origin);
  }
}

function isGone({ error }: PlaceFailure): boolean {
  return ["not-found", "data-loss"].includes(errorCode(error));
}

/** Causes of causes that are looked at. */
const CAUSES_MAX = 16;

/** The layer of a cache that is gone, or not what it should be, if that is what an error or one of its causes tells of. */
export function lostLayer(error: unknown): UnhadLayer | undefined {
  let cause = firstError(error);
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    if (cause instanceof LostLayer) return cause;
    if (cause instanceof DamagedLayer && isOfCache(cause.image.origins))
      return { image: cause.image, message: cause.message, gone: [], unread: [], lying: cause.image.origins };
    cause = cause.cause;
  }
  return undefined;
}

function told(layer: KnownLayer, failures: readonly PlaceFailure[]): EngineError {
  const { digest } = layer.descriptor;
  const [first] = failures;
  if (first === undefined) return new EngineError("not-found", `layer ${digest} is nowhere to be had`);
  const { origin, error: cause } = first;
  const message = `fetching layer ${digest} of ${placeOf(origin).replace(IMAGE_SCHEME, "")}: ${withoutPlace(cause)}`;
  return layer.origins.some(isCacheOrigin) || failures.every(isGone)
    ? new LostLayer(layer, message, failures)
    : new EngineError(errorCode(cause), message, { cause, hint: hintOf(cause) ?? NOT_HERE });
}

const NOT_HERE =
  "what is not on this disk is fetched from where the image came from; one that was built or loaded here has to be built or loaded again";

function hintOf(error: unknown): string | undefined {
  return error instanceof EngineError ? error.hint : undefined;
}

/** What ERROR says but for what was fetched from where, which is told already. */
function withoutPlace(error: unknown): string {
  return messageOf(error).replace(/^fetching sha256:[0-9a-f]{64} of \S+: /, "");
}

async function providerOf(origin: string, { registry, lent }: LayerFetching): Promise<Provider> {
  const lender = lent.get(origin);
  if (lender) return lender;
  if (origin.startsWith(LAYOUT_SCHEME)) return openLayout(parseLayoutIdentifier(origin).dir);
  if (origin.startsWith(IMAGE_SCHEME)) return registry.repository(parseReference(imageName(origin)));
  throw new EngineError("unavailable", "the build that knew how to read it has ended");
}

function counted(provider: Provider, report: (bytes: number) => void): Provider {
  return {
    async *read(target, options) {
      let bytes = 0;
      for await (const chunk of provider.read(target, options)) {
        bytes += chunk.length;
        report(bytes);
        yield chunk;
      }
    },
  };
}
