import { rename, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type AbortOptions, type Clock, type Digest, errorCode } from "../base/index.js";
import {
  type Descriptor,
  encodeIndex,
  type Index,
  MediaType,
  openLayout,
  REF_NAME_ANNOTATION,
  withLayoutLock,
} from "../oci/index.js";
import { createContentStore } from "../store/index.js";
import { cacheManifest, type ManifestForm, openManifest } from "./manifest.js";
import type { CacheSource, CacheTarget } from "./place.js";
import { inMemory } from "./registry-place.js";

/** Where in a directory a cache is. */
export interface LayoutPlace {
  /** An absolute path. */
  readonly directory: string;
  readonly tag: string;
  readonly digest?: Digest | undefined;
}

/** A cache in an image layout of this machine. */
export function localSource({ directory, tag, digest }: LayoutPlace): CacheSource {
  return {
    name: `local:${directory}`,
    async open(options) {
      const layout = await openLayout(directory, options);
      const root = await layout.resolve(digest === undefined ? { tag } : { digest }, options);
      const origin = `oci-layout://${directory}:${tag}@${root.digest}`;
      return openManifest(root, { provider: layout, origin }, options);
    },
  };
}

export interface LocalTargetOptions extends ManifestForm {
  readonly directory: string;
  readonly tag: string;
  readonly clock: Clock;
}

/**
 * Writes a cache as an image layout (image-spec, image layout), beside what else the layout holds. Any number may write to one at once: blobs
 * are only added, and of two caches with the same tag the last one is found.
 */
export function localTarget(target: LocalTargetOptions): CacheTarget {
  const { directory, tag, clock } = target;
  const store = createContentStore(directory, clock);
  return {
    name: `local:${directory}`,
    title: "exporting cache to client directory",
    async putBlob(blob, source, { signal }) {
      await store.ensure(blob, source, { ...(signal ? { signal } : {}) });
    },
    async publish(cache, options) {
      const { descriptor, bytes, blobs } = cacheManifest(cache, target);
      for (const blob of [...blobs, { descriptor, bytes }])
        await store.ensure(blob.descriptor, inMemory(blob.bytes), options);
      await store.sweep(options);
      await rmdir(path.join(directory, "ingest")).catch(() => {}); // somebody else may be writing there
      const named = { ...descriptor, annotations: { [REF_NAME_ANNOTATION]: tag } };
      await withLayoutLock(directory, () => list(directory, named, options), options);
      return descriptor;
    },
  };
}

/** Makes NAMED be found, in the place of what had its tag. */
async function list(directory: string, named: Descriptor, options: AbortOptions): Promise<void> {
  const tag = named.annotations?.[REF_NAME_ANNOTATION];
  const known = await entriesOf(directory, options);
  const others = known.filter(({ annotations }) => annotations?.[REF_NAME_ANNOTATION] !== tag);
  const index: Index = { mediaType: MediaType.ociIndex, manifests: [...others, named] };
  await replace(path.join(directory, "oci-layout"), Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  await replace(path.join(directory, "index.json"), encodeIndex(index));
}

async function entriesOf(directory: string, options: AbortOptions): Promise<readonly Descriptor[]> {
  try {
    return (await openLayout(directory, options)).index.manifests;
  } catch (error) {
    if (errorCode(error) === "not-found") return [];
    throw error;
  }
}

/** Puts BYTES in the place of FILE: whoever reads it finds the one or the other. What was killed half-way is written again. */
async function replace(file: string, bytes: Uint8Array): Promise<void> {
  const next = `${file}.next`;
  await rm(next, { force: true });
  await writeFile(next, bytes, { mode: 0o644, flag: "wx" });
  await rename(next, file);
}
