import { EngineError, errorCode, messageOf } from "../base/index.js";
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
import type { FetchLayer } from "../snapshot/index.js";
import { type ImageSource, parseLayoutIdentifier, resolveLayoutImage, type SourceImage } from "../sources/index.js";
import type { ContentStore } from "../store/index.js";

const IMAGE_SCHEME = "docker-image://";
const LAYOUT_SCHEME = "oci-layout://";

/** The images of one build: each name is resolved once, and stays what it was. */
export interface Catalog extends ImageResolver {
  resolve(identifier: string, platform: Platform, options: { readonly signal: AbortSignal }): Promise<ResolvedImage>;
}

/** A catalog for one build. PULL: ask the registry what tags stand for now. */
export function createCatalog(source: ImageSource, pull: boolean): Catalog {
  const found = new Map<string, Promise<SourceImage>>();
  const nameOf = (identifier: string, platform: Platform) => `${identifier} ${formatPlatform(platform)}`;
  const find = (identifier: string, platform: Platform, signal: AbortSignal): Promise<SourceImage> => {
    const name = nameOf(identifier, platform);
    const known = found.get(name);
    if (known) return known;
    const image = identifier.startsWith(LAYOUT_SCHEME)
      ? resolveLayoutImage(identifier, platform, { signal })
      : source.resolve(imageName(identifier), platform, { pull, signal });
    found.set(name, image);
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
      const origin = pin(identifier, image);
      return { manifest: image.manifest.digest, layers: image.layers.map((layer) => ({ ...layer, origin })) };
    },
  };
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

/** Whether a layer's place is a directory of this machine. */
export function isLocalOrigin(origin: string): boolean {
  return origin.startsWith(LAYOUT_SCHEME);
}

/** The place of the layers of the image that REFERENCE names. */
export function imageOrigin(reference: Reference): string {
  return `${IMAGE_SCHEME}${formatReference(reference)}`;
}

/** The image that a layer's place names; undefined for a place that is no registry's. */
export function originReference(origin: string): Reference | undefined {
  return origin.startsWith(IMAGE_SCHEME) ? parseReference(imageName(origin)) : undefined;
}

/** Fetches layers from where they were seen, into the content store: the first place that has the blob. */
export function createLayerFetcher(store: ContentStore, registry: Registry): FetchLayer {
  return async ({ descriptor, origins }, { signal, onProgress }) => {
    const total = descriptor.size;
    let failure: unknown = new EngineError("not-found", `layer ${descriptor.digest} is nowhere to be had`);
    if (await store.info(descriptor.digest)) return store.path(descriptor.digest);
    for (const [i, origin] of origins.entries()) {
      try {
        const provider = counted(await providerOf(origin, registry), (current) =>
          onProgress?.({ current, total, unit: "bytes" }),
        );
        await store.ensure(descriptor, provider, { signal });
        return store.path(descriptor.digest);
      } catch (error) {
        if (errorCode(error) === "canceled" || errorCode(error) === "no-space") throw error;
        if (i === 0)
          failure = new EngineError(
            errorCode(error),
            `fetching layer ${descriptor.digest} of ${origin.replace(IMAGE_SCHEME, "")}: ${withoutPlace(error)}`,
            { cause: error },
          );
      }
    }
    throw failure;
  };
}

/** What ERROR says but for what was fetched from where, which is told already. */
function withoutPlace(error: unknown): string {
  return messageOf(error).replace(/^fetching sha256:[0-9a-f]{64} of \S+: /, "");
}

async function providerOf(origin: string, registry: Registry): Promise<Provider> {
  if (origin.startsWith(LAYOUT_SCHEME)) return openLayout(parseLayoutIdentifier(origin).dir);
  return registry.repository(parseReference(imageName(origin)));
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
