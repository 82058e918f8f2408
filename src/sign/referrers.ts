import { type AbortOptions, type Digest, digestOf, EngineError, errorCode } from "../base/index.js";
import {
  type Bytes,
  type Descriptor,
  encodeIndex,
  type Index,
  MANIFEST_BYTES_MAX,
  MediaType,
  type Provider,
  parseManifestOrIndex,
  readAll,
} from "../oci/index.js";
import type { Repository } from "../registry/index.js";

/** What refers to an image, and how its registry is told of more. */
export interface Referrers {
  readonly known: readonly Descriptor[];
  /** Whether the registry keeps the list; else it is an index under a tag, which whoever adds to it writes. */
  readonly isKept: boolean;
}

/** What in REPOSITORY refers to SUBJECT (distribution-spec, Listing Referrers, and the schema for registries that list none). */
export async function referrersOf(repository: Repository, subject: Digest, options: AbortOptions): Promise<Referrers> {
  const listed = await repository.referrers(subject, options);
  if (listed !== undefined) return { known: listed, isKept: true };
  const index = await taggedIndex(repository, referrersTag(subject), options);
  return { known: index?.manifests ?? [], isKept: false };
}

/** Names REFERRER, which is in REPOSITORY already, among those of SUBJECT, where the registry doesn't do so by itself. */
export async function addReferrer(
  repository: Repository,
  subject: Digest,
  referrer: Descriptor,
  options: AbortOptions,
): Promise<void> {
  if ((await repository.referrers(subject, options)) !== undefined) return;
  const tag = referrersTag(subject);
  const index = await taggedIndex(repository, tag, options);
  const manifests = index?.manifests ?? [];
  if (manifests.some(({ digest }) => digest === referrer.digest)) return;
  const { annotations } = index ?? {};
  const bytes = encodeIndex({
    mediaType: MediaType.ociIndex,
    manifests: [...manifests, referrer],
    ...(annotations ? { annotations } : {}),
  });
  const document = { mediaType: MediaType.ociIndex, digest: digestOf(bytes), size: bytes.length };
  await repository.putManifest(document, bytes, tag, options);
}

/** What TAG stands for; undefined where there is nothing. */
export async function resolveTag(
  repository: Repository,
  tag: string,
  options: AbortOptions,
): Promise<Descriptor | undefined> {
  try {
    return await repository.resolve({ tag }, options);
  } catch (error) {
    if (errorCode(error) === "not-found") return undefined;
    throw error;
  }
}

/** A provider of just these BYTES. */
export function bytesProvider(bytes: Uint8Array): Provider {
  return {
    async *read(_target, { offset = 0 } = {}): Bytes {
      yield bytes.subarray(offset);
    },
  };
}

function referrersTag(subject: Digest): string {
  return subject.replace(":", "-");
}

async function taggedIndex(repository: Repository, tag: string, options: AbortOptions): Promise<Index | undefined> {
  const found = await resolveTag(repository, tag, options);
  if (found === undefined) return undefined;
  const bytes = await readAll(repository, found, MANIFEST_BYTES_MAX, options);
  const document = parseManifestOrIndex(bytes, found.mediaType);
  if (document.kind === "index") return document.index;
  throw new EngineError(
    "failed",
    `${repository.name}:${tag} should list what refers to an image, but is an image itself`,
  );
}
