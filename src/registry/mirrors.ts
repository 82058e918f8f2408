import { errorCode } from "../base/index.js";
import { type Bytes, checked, type Descriptor, type ReadOptions } from "../oci/index.js";
import type { Repository } from "./repository.js";

/**
 * ORIGIN, read from MIRRORS where they have what is asked for, the first first. What goes wrong there is nobody's concern while ORIGIN
 * can be read; what is written goes to ORIGIN.
 */
export function createMirrored(origin: Repository, mirrors: readonly Repository[]): Repository {
  if (mirrors.length === 0) return origin;
  return {
    name: origin.name,
    async resolve(selector, options) {
      for (const mirror of mirrors) {
        const found = await mirror.resolve(selector, options).catch(unlessCanceled);
        if (found !== undefined) return found;
      }
      return origin.resolve(selector, options);
    },
    read: (target, options = {}) => checked(target, readFirst([...mirrors, origin], target, options), options.offset),
    sizeOf: (blob, options) => origin.sizeOf(blob, options),
    putBlob: (blob, source, options) => origin.putBlob(blob, source, options),
    putManifest: (document, bytes, name, options) => origin.putManifest(document, bytes, name, options),
    referrers: (subject, options) => origin.referrers(subject, options),
  };
}

/** From each place what those before it didn't give. */
async function* readFirst(places: readonly Repository[], target: Descriptor, options: ReadOptions): Bytes {
  const start = options.offset ?? 0;
  let position = start;
  for (const [i, place] of places.entries()) {
    try {
      for await (const chunk of place.read(target, { ...options, offset: position })) {
        position += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      // Bytes that were wrong have been handed on.
      const isSpoiled = errorCode(error) === "data-loss" && position > start;
      if (i === places.length - 1 || isSpoiled) throw error;
      unlessCanceled(error);
    }
  }
}

function unlessCanceled(error: unknown): undefined {
  if (errorCode(error) === "canceled") throw error;
  return undefined;
}
