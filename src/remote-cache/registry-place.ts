import type { AbortOptions } from "../base/index.js";
import {
  type Descriptor,
  familiarReference,
  formatReference,
  type Provider,
  parseReference,
  type Reference,
} from "../oci/index.js";
import type { Registry } from "../registry/index.js";
import { cacheManifest, type ManifestForm, openManifest } from "./manifest.js";
import type { CacheSource, CacheTarget } from "./place.js";

/** Where layers of images in registries are. */
const IMAGE_SCHEME = "docker-image://";

/** A cache, or an image with one, in a registry. INSECURE: trust any certificate, and speak in the clear where it must be. */
export function registrySource(
  registry: Registry,
  { reference, insecure }: { readonly reference: Reference; readonly insecure: boolean },
): CacheSource {
  return {
    name: familiarReference(reference),
    async open(options) {
      const repository = registry.repository(reference, { insecure });
      const { tag = "latest", digest } = reference;
      const root = await repository.resolve(digest === undefined ? { tag } : { digest }, options);
      const { digest: _, ...name } = reference;
      const origin = `${IMAGE_SCHEME}${formatReference({ ...name, digest: root.digest })}`;
      const opened = await openManifest(root, { provider: repository, origin }, options);
      return insecure ? opened.map((each) => ({ ...each, lends: repository })) : opened;
    },
  };
}

export interface RegistryTargetOptions extends ManifestForm {
  readonly reference: Reference;
  readonly insecure: boolean;
}

/** Puts a cache beside images. Blobs that are there are not sent, and a name that stands for the very same is left alone. */
export function registryTarget(registry: Registry, target: RegistryTargetOptions): CacheTarget {
  const { reference, insecure } = target;
  const repository = registry.repository(reference, { insecure, direct: true });
  return {
    name: familiarReference(reference),
    title: "exporting cache to registry",
    async putBlob(blob, source, { origins, ...options }) {
      await repository.putBlob(blob, source, { ...options, origins: origins.flatMap(referenceOf) });
    },
    async publish(cache, options) {
      const { descriptor, bytes, blobs } = cacheManifest(cache, target);
      for (const blob of blobs) await repository.putBlob(blob.descriptor, inMemory(blob.bytes), abortOf(options));
      const name = reference.tag ?? descriptor.digest;
      await repository.putManifest(descriptor, bytes, name, abortOf(options));
      return descriptor;
    },
  };
}

function referenceOf(origin: string): readonly Reference[] {
  return origin.startsWith(IMAGE_SCHEME) ? [parseReference(origin.slice(IMAGE_SCHEME.length))] : [];
}

/** Bytes at hand, as a provider of just them. */
export function inMemory(bytes: Uint8Array): Provider {
  return {
    async *read(_target: Descriptor, { offset = 0 } = {}) {
      yield bytes.subarray(offset);
    },
  };
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}
