import { type Digest, errorCode, messageOf } from "../base/index.js";
import { type Bytes, checked, type Descriptor, type ReadOptions, readAll, SpoiledError } from "../oci/index.js";
import type { Repository } from "./repository.js";

/**
 * ORIGIN, read from MIRRORS where they have what is asked for, the first first. What goes wrong there is nobody's concern while ORIGIN
 * can be read; what is written goes to ORIGIN. Where a mirror's bytes turn out to be wrong when they have been handed on, a read ends in
 * `SpoiledError`.
 */
export function createMirrored(origin: Repository, mirrors: readonly Repository[]): Repository {
  if (mirrors.length === 0) return origin;
  /** What each of the mirrors has given wrongly. */
  const spoiled = mirrors.map(() => new Set<Digest>());
  const placesOf = ({ digest }: Descriptor): readonly Place[] => [
    ...mirrors.flatMap((repository, i) => {
      const wrong = spoiled[i] ?? new Set();
      return wrong.has(digest) ? [] : [{ repository, spoil: () => wrong.add(digest) }];
    }),
    { repository: origin, spoil: () => {} },
  ];
  return {
    name: origin.name,
    async resolve(selector, options) {
      for (const mirror of mirrors) {
        const found = await mirror.resolve(selector, options).catch(unlessCanceled);
        if (found !== undefined) return found;
      }
      return origin.resolve(selector, options);
    },
    read: (target, options = {}) => readVerified(placesOf(target), target, options),
    sizeOf: (blob, options) => origin.sizeOf(blob, options),
    putBlob: (blob, source, options) => origin.putBlob(blob, source, options),
    putManifest: (document, bytes, name, options) => origin.putManifest(document, bytes, name, options),
    referrers: (subject, options) => origin.referrers(subject, options),
    tags: (options) => origin.tags(options),
  };
}

/** Of a mirror's content that is no larger, nothing is handed on before all of it has been verified. Bytes. */
const HELD_BYTES_MAX = 1024 * 1024;

interface Place {
  readonly repository: Repository;
  /** Makes a note that it gave wrong bytes. */
  spoil(): void;
}

/** Bytes that turn out to be wrong were given by a mirror, or by several, as long as one gave any of them. */
async function* readVerified(places: readonly Place[], target: Descriptor, options: ReadOptions): Bytes {
  const givers = new Set<Place>();
  try {
    yield* checked(
      target,
      readFirst(places, target, { ...options, onGiven: (place) => givers.add(place) }),
      options.offset,
    );
  } catch (error) {
    const blamed = [...givers].filter((place) => place !== places.at(-1));
    if (errorCode(error) !== "data-loss" || blamed.length === 0) throw error;
    for (const { spoil } of blamed) spoil();
    throw new SpoiledError("data-loss", messageOf(error), { cause: error });
  }
}

interface Reading extends ReadOptions {
  /** Hears who gives bytes, before they are handed on. */
  onGiven(place: Place): void;
}

/** From each place what those before it didn't give. */
async function* readFirst(places: readonly Place[], target: Descriptor, options: Reading): Bytes {
  const { onGiven, offset = 0, signal } = options;
  const abort = signal ? { signal } : {};
  let position = offset;
  for (const [i, place] of places.entries()) {
    const { repository } = place;
    const isLast = i === places.length - 1;
    const isHeld = !isLast && position === 0 && target.size <= HELD_BYTES_MAX;
    try {
      const content = isHeld
        ? held(repository, target, abort)
        : repository.read(target, { ...abort, offset: position });
      for await (const chunk of content) {
        onGiven(place);
        position += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      // Bytes that were wrong have been handed on.
      if (isLast || (errorCode(error) === "data-loss" && position > offset)) throw error;
      unlessCanceled(error);
    }
  }
}

async function* held(repository: Repository, target: Descriptor, options: ReadOptions): Bytes {
  yield await readAll(repository, target, HELD_BYTES_MAX, options);
}

function unlessCanceled(error: unknown): undefined {
  if (errorCode(error) === "canceled") throw error;
  return undefined;
}
