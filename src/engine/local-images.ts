import { EngineError } from "../base/index.js";
import { type ExportOptions, fullNames } from "../exporters/index.js";
import { formatReference, parseReference } from "../oci/index.js";
import type { ProgressSink } from "../progress/index.js";
import type { Registry } from "../registry/index.js";
import { checkSource, shownSource } from "./archive-files.js";
import type { BuildEngine } from "./build.js";
import { exporting } from "./exporting.js";
import { findImage } from "./image-lookup.js";
import type { ImageWork, LocalImages } from "./image-requests.js";
import { listImages } from "./images.js";
import type { PruneEngine } from "./prune.js";

/** What the doors to the image store are made of. */
export interface LocalImagesParts {
  readonly parts: BuildEngine;
  readonly pruning: PruneEngine;
  /** Runs WORK as the engine runs all that it does: ended and waited for when it is closed, its errors told as the engine's. */
  readonly run: <T>(work: ImageWork, body: (signal: AbortSignal) => Promise<T>) => Promise<T>;
}

/** The local store of an engine. What not every command needs is loaded late. */
export function createLocalImages({ parts, pruning, run }: LocalImagesParts): LocalImages {
  const { images } = pruning;
  const { writer, registry, fetchLayer, store } = parts.outputs;
  const { owner, dirs, layers, plane, database, imageSource } = parts;
  const storing = {
    newId: parts.newId,
    store,
    images,
    database,
    layers,
    writer,
    fetchLayer,
    dirs,
    owner,
    plane,
    registry,
    imageSource,
  };
  /** Shows WORK as one step. */
  const shown = <T>(request: ImageWork, name: string, { check, work }: ShownWork<T>): Promise<T> => {
    const progress: ProgressSink = { emit: (event) => request.onProgress?.(event) };
    return run(request, async (signal) => {
      check();
      return await exporting(name, { progress, signal, clock: parts.clock }, work);
    });
  };
  return {
    list: (query) => run({}, () => listImages(pruning, query)),
    inspect: (image, options) =>
      run({}, async () => (await import("./image-details.js")).imageDetails(pruning, image, options)),
    tag: (image, name) =>
      run({}, async () => {
        const { target, platforms } = findImage(images, image).entry;
        const [full = name] = fullNames([name]);
        await images.put({ name: full, target, platforms });
      }),
    remove: (image, options) =>
      run({}, async () => (await import("./image-removal.js")).removeImage(pruning, image, options)),
    prune: (request = {}) =>
      run(request, async (signal) => (await import("./image-removal.js")).pruneImages(pruning, { ...request, signal })),
    async save(request) {
      const { imagesToSave, saveStoredImages } = await import("./image-archive.js");
      return shown(request, `saving ${request.images.join(", ")}`, {
        check: () => imagesToSave(images, request.images),
        work: (options) => saveStoredImages(storing, { ...bare(request), ...options }),
      });
    },
    async load(request) {
      const { loadImages } = await import("./load.js");
      return shown(request, `loading ${shownSource(request.from)}`, {
        check: () => checkSource(request.from),
        work: (options) => loadImages(storing, { ...bare(request), ...options }),
      });
    },
    async import(request) {
      const { importImage } = await import("./image-import.js");
      return shown(request, `importing ${shownSource(request.from)}`, {
        check: () => checkSource(request.from),
        work: (options) => importImage(parts, { ...bare(request), ...options }),
      });
    },
    async pull(request) {
      const { pullStoredImage } = await import("./image-pull.js");
      return shown(request, `pulling ${request.name}`, {
        check: () => parseReference(request.name),
        work: (options) => pullStoredImage(storing, { ...bare(request), ...options }),
      });
    },
    tagsOf: (name, work = {}) => run(work, (signal) => taggedNames(registry, name, signal)),
    async push(request) {
      const { imagesToPush, pushStoredImages } = await import("./image-push.js");
      return shown(request, `pushing ${request.name}`, {
        check: () => imagesToPush(images, request),
        work: (options) => pushStoredImages(storing, { ...bare(request), ...options }),
      });
    },
  };
}

async function taggedNames(registry: Registry, name: string, signal: AbortSignal): Promise<readonly string[]> {
  const reference = parseReference(name);
  if (reference.tag !== undefined || reference.digest !== undefined)
    throw new EngineError("invalid", "tag can't be used with --all-tags/-a");
  const tags = await registry.repository(reference).tags({ signal });
  return tags.map((tag) => formatReference({ ...reference, tag }));
}

interface ShownWork<T> {
  /** What can be refused before anything is shown. */
  readonly check: () => unknown;
  readonly work: (options: ExportOptions) => Promise<T>;
}

/** What is asked for, without whom to tell and what stops it. */
function bare<R extends ImageWork>({ onProgress: _, signal: __, ...asked }: R): Omit<R, keyof ImageWork> {
  return asked;
}
