import { lstatSync, statSync } from "node:fs";
import { rename, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type AbortOptions, type Clock, type Digest, EngineError, errorCode, messageOf } from "../base/index.js";
import {
  type Descriptor,
  encodeIndex,
  type Index,
  MediaType,
  openLayout,
  type Provider,
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
 * are only added, and of two caches with the same tag the last one is found. Throws `invalid` for a directory that is a link to nowhere.
 */
export function localTarget(target: LocalTargetOptions): CacheTarget {
  const { directory, tag, clock } = target;
  checkLink(directory);
  const store = createContentStore(directory, clock);
  return {
    name: `local:${directory}`,
    title: "exporting cache to client directory",
    async putBlob(blob, source, { signal }) {
      const reading = new Reading(source);
      try {
        await store.ensure(blob, reading, { ...(signal ? { signal } : {}) });
      } catch (error) {
        throw reading.hasFailed ? error : advised(error, directory);
      }
    },
    async publish(cache, options) {
      const { descriptor, bytes, blobs } = cacheManifest(cache, target);
      const named = { ...descriptor, annotations: { [REF_NAME_ANNOTATION]: tag } };
      try {
        for (const blob of [...blobs, { descriptor, bytes }])
          await store.ensure(blob.descriptor, inMemory(blob.bytes), options);
        await store.sweep(options);
        await rmdir(path.join(directory, "ingest")).catch(() => {}); // somebody else may be writing there
        await withLayoutLock(directory, () => list(directory, named, options), options);
      } catch (error) {
        throw advised(error, directory);
      }
      return descriptor;
    },
  };
}

function checkLink(directory: string): void {
  const isLink = lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (isLink && !statSync(directory, { throwIfNoEntry: false }))
    throw new EngineError("invalid", `the directory ${directory} of a local cache is a link that leads nowhere`);
}

/** What came of writing to DIRECTORY, whose disk is not the state directory's. */
function advised(error: unknown, directory: string): unknown {
  if (errorCode(error) !== "no-space") return error;
  const hint = `make room on the disk that ${directory} is on, or export the cache to another place`;
  return new EngineError("no-space", messageOf(error), { cause: error, hint });
}

/** A provider that tells whether it was the one that failed. */
class Reading implements Provider {
  hasFailed = false;
  readonly #source: Provider;

  constructor(source: Provider) {
    this.#source = source;
  }

  async *read(...args: Parameters<Provider["read"]>) {
    try {
      yield* this.#source.read(...args);
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }
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
