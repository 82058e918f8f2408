import { mkdir, open, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { type AbortOptions, type Clock, type Digest, EngineError, errorCode, messageOf } from "../base/index.js";
import { type Descriptor, encodeIndex, type Index, MediaType, openLayout, REF_NAME_ANNOTATION } from "../oci/index.js";
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
  /** A name that no other export has. */
  readonly newId: () => string;
}

/** Writes a cache as an image layout (image-spec, image layout), beside what else the layout holds. */
export function localTarget(target: LocalTargetOptions): CacheTarget {
  const { directory, tag, clock, newId } = target;
  const store = createContentStore(directory, clock);
  return {
    title: "exporting cache to client directory",
    async putBlob(blob, source, { signal }) {
      await told(directory, () => store.ensure(blob, source, { ...(signal ? { signal } : {}) }));
    },
    async publish(cache, options) {
      const { descriptor, bytes, blobs } = cacheManifest(cache, target);
      return told(directory, async () => {
        for (const blob of [...blobs, { descriptor, bytes }])
          await store.ensure(blob.descriptor, inMemory(blob.bytes), options);
        await rmdir(path.join(directory, "ingest")).catch(() => {}); // somebody else may be writing there
        const named = { ...descriptor, annotations: { [REF_NAME_ANNOTATION]: tag } };
        const others = (await entriesOf(directory, options)).filter(
          ({ annotations }) => annotations?.[REF_NAME_ANNOTATION] !== tag,
        );
        const index: Index = { mediaType: MediaType.ociIndex, manifests: [...others, named] };
        await replace(path.join(directory, "oci-layout"), Buffer.from('{"imageLayoutVersion":"1.0.0"}'), newId());
        await replace(path.join(directory, "index.json"), encodeIndex(index), newId());
        return descriptor;
      });
    },
  };
}

async function entriesOf(directory: string, options: AbortOptions): Promise<readonly Descriptor[]> {
  try {
    return (await openLayout(directory, options)).index.manifests;
  } catch (error) {
    if (errorCode(error) === "not-found") return [];
    throw error;
  }
}

/** Puts BYTES in the place of FILE: whoever reads it finds the one or the other. */
async function replace(file: string, bytes: Uint8Array, id: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const next = `${file}.${id}`;
  try {
    const handle = await open(next, "wx", 0o644);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    await rename(next, file);
  } finally {
    await rm(next, { force: true });
  }
}

async function told<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError(errorCode(cause), `writing the cache to ${directory}: ${messageOf(cause)}`, { cause });
  }
}
