import { type Digest, EngineError, errorCode } from "../base/index.js";
import {
  familiarReference,
  hostPlatform,
  type Platform,
  parsePlatform,
  parseReference,
  platformRank,
  repositoryName,
  withDefaultTag,
} from "../oci/index.js";
import type { ImageStore, PlatformImage, StoredEntry } from "../store/index.js";

/** An image of the store, found by what a user called it. */
export interface FoundImage {
  /** The entry that was meant: with the name, or any of those with the id. */
  readonly entry: StoredEntry;
  /** All entries of the image, that one included. */
  readonly entries: readonly StoredEntry[];
  readonly by: "name" | "id";
}

/** The id that an image is shown with: that of the platform that suits this machine best, or else of its first. */
export function imageIdOf(entry: StoredEntry): Digest {
  const [best = entry.platforms[0]] = imagesFor(entry, wantedPlatform(undefined));
  return best?.imageId ?? entry.target.digest;
}

/** The image that TEXT means: a name, a name with a digest, or the beginning of an id. Throws `not-found`, `invalid`. */
export function findImage(images: ImageStore, text: string): FoundImage {
  const found = byName(images, text) ?? byId(images, text);
  if (!found) throw noSuchImage(text);
  const id = imageIdOf(found.entry);
  return { ...found, entries: images.list().filter((entry) => imageIdOf(entry) === id) };
}

/** What the image that TEXT means is called where only names will do: TEXT itself, unless it is the beginning of an id. */
export function nameOfImage(images: ImageStore, text: string): string {
  if (!isId(text) || (!/^(?:sha256:|[0-9a-f]{64}$)/.test(text) && images.get(text))) return text;
  const found = byId(images, text);
  return found ? (found.entry.name ?? `${NAMELESS_REPOSITORY}@${found.entry.target.digest}`) : text;
}

/** Nobody pulls from there: what it names is in the store, or nowhere. */
const NAMELESS_REPOSITORY = "localhost/nameless";

/** Docker's sentence. */
export function noSuchImage(text: string): EngineError {
  return new EngineError("not-found", `No such image: ${shownName(text)}`);
}

function shownName(text: string): string {
  try {
    return /^(?:sha256:)?[0-9a-f]{12,64}$/.test(text) ? text : familiarReference(withDefaultTag(parseReference(text)));
  } catch {
    return text;
  }
}

type Found = Pick<FoundImage, "entry" | "by">;

function byName(images: ImageStore, text: string): Found | undefined {
  try {
    const { digest, ...reference } = parseReference(text);
    const named = images.get(text);
    if (named || digest === undefined) return named && { entry: named, by: "name" };
    const repository = repositoryName(reference);
    const entry = images
      .list()
      .find(
        ({ name, target }) => name && target.digest === digest && repositoryName(parseReference(name)) === repository,
      );
    return entry && { entry, by: "name" };
  } catch (error) {
    // What is no name may be an id.
    if (errorCode(error) !== "invalid" || !isId(text)) throw error;
    return undefined;
  }
}

function byId(images: ImageStore, text: string): Found | undefined {
  if (!isId(text)) return undefined;
  const found = images.find(text);
  if (new Set(found.map(imageIdOf)).size > 1)
    throw new EngineError("invalid", `multiple IDs found with provided prefix: ${text}`);
  const [entry] = found;
  return entry && { entry, by: "id" };
}

function isId(text: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{1,64}$/.test(text);
}

/** The platform that TEXT names; without one this machine's. */
export function wantedPlatform(text: string | undefined): Platform {
  const host = hostPlatform(process.arch);
  return text === undefined ? host : parsePlatform(text, host);
}

/**
 * The image for PLATFORM among those of an entry; without one the best for this machine, or else the first. Throws `not-found` where there
 * is none.
 */
export function platformImage(entry: StoredEntry, platform: string | undefined): PlatformImage {
  const [best] = imagesFor(entry, wantedPlatform(platform));
  const chosen = best ?? (platform === undefined ? entry.platforms[0] : undefined);
  if (chosen) return chosen;
  const shown = entry.name ?? entry.target.digest;
  throw new EngineError(
    "not-found",
    platform === undefined
      ? `${shown} holds no image`
      : `image with reference ${shown} was found but does not provide the specified platform (${platform})`,
  );
}

/** What of an entry runs on a machine of PLATFORM, best first. */
function imagesFor({ platforms }: StoredEntry, platform: Platform): readonly PlatformImage[] {
  const ranked = platforms.flatMap((image) => {
    const rank = image.manifest.platform && platformRank(platform, image.manifest.platform);
    return rank === undefined ? [] : [{ image, rank }];
  });
  return ranked.sort((a, b) => a.rank - b.rank).map(({ image }) => image);
}
