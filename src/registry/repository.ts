import {
  type AbortOptions,
  canceled,
  type Digest,
  digestOf,
  EngineError,
  errorCode,
  heardByMany,
  isDigest,
} from "../base/index.js";
import {
  type Bytes,
  checked,
  type Descriptor,
  isIndexType,
  isManifestType,
  isSchema1,
  MANIFEST_BYTES_MAX,
  MediaType,
  type Provider,
  parseManifestOrIndex,
  parseSchema1,
  type ReadOptions,
  type Reference,
  repositoryName,
} from "../oci/index.js";
import { statusError } from "./errors.js";
import type { HttpResponse } from "./http.js";
import { uploadManifest } from "./manifest-upload.js";
import { listReferrers } from "./referrers.js";
import type { Connection, RegistryClient, RegistryRequest } from "./registry-client.js";
import { resumed } from "./resumed.js";
import { retrying } from "./retries.js";
import { blobSize, Schema1Error } from "./schema1.js";
import { listTags } from "./tags.js";
import { type UploadOutcome, uploadBlob } from "./upload.js";

/** One repository of a registry. */
export interface Repository extends Provider {
  /** `docker.io/library/alpine`. */
  readonly name: string;
  /**
   * The manifest or index that a tag or digest stands for now. Errors: `not-found`, `denied`, `unavailable`, `Schema1Error`, `data-loss` if the registry gives something else for a digest.
   */
  resolve(
    selector: { readonly tag: string } | { readonly digest: Digest },
    options?: AbortOptions,
  ): Promise<Descriptor>;
  /** The bytes of a blob that nothing describes. Errors: `not-found`, `denied`, `unavailable`, `failed`. */
  sizeOf(blob: Digest, options?: AbortOptions): Promise<number>;
  /**
   * Sees to it that BLOB is here, reading it from SOURCE only if it neither is nor can be mounted. Errors: `denied`, `unavailable`,
   * `failed`, `invalid`, those of the source, `canceled`.
   */
  putBlob(blob: Descriptor, source: Provider, options?: PutBlobOptions): Promise<UploadOutcome>;
  /**
   * Sees to it that NAME, a tag or the document's digest, stands for a document whose parts are here. Errors as of `putBlob`, and
   * `data-loss` if the registry says it stored something else.
   */
  putManifest(
    document: Descriptor,
    bytes: Uint8Array,
    name: string,
    options?: AbortOptions,
  ): Promise<"present" | "uploaded">;
  /** What refers to SUBJECT; undefined where the registry keeps no list of that. Errors: `denied`, `unavailable`, `failed`, `invalid`. */
  referrers(subject: Digest, options?: AbortOptions): Promise<readonly Descriptor[] | undefined>;
  /** All its tags, in the registry's order. Errors: `not-found`, `denied`, `unavailable`, `failed`, `invalid`. */
  tags(options?: AbortOptions): Promise<readonly string[]>;
}

export interface PutBlobOptions extends AbortOptions {
  /** Repositories that may have the blob, the likeliest first. Those of other registries don't matter. */
  readonly origins?: readonly Reference[] | undefined;
  /** Hears how many bytes are sent; fewer than before after a cut. */
  readonly onSent?: ((bytes: number) => void) | undefined;
}

/** The repository that REFERENCE names; its tag and digest don't matter. */
export function createRepository(client: RegistryClient, reference: Reference): Repository {
  const { repository } = reference;
  const name = repositoryName(reference);
  const request = { scope: { repository, access: "pull" } } as const;
  return {
    name,
    putBlob(blob, source, { origins = [], onSent = () => {}, ...options } = {}) {
      const others = origins.filter((origin) => origin.registry === reference.registry);
      const mountFrom = [...new Set(others.map((origin) => origin.repository))].filter((other) => other !== repository);
      const upload = { client, repository, blob, source, mountFrom, what: `uploading ${blob.digest}`, onSent };
      return client.connected("upload").run(() => uploadBlob(upload, options), options);
    },
    putManifest(document, bytes, name, options = {}) {
      const what = `uploading manifest ${name}`;
      return uploadManifest({ client, repository, document, bytes, name, what }, options);
    },
    referrers(subject, options = {}) {
      return listReferrers(client, { repository, subject, what: `listing referrers of ${name}@${subject}` }, options);
    },
    tags: (options = {}) => listTags(client, { repository, what: `listing the tags of ${name}` }, options),
    sizeOf(blob, options = {}) {
      const what = `fetching ${blob} of ${name}`;
      return blobSize(client, { ...request, path: `${repository}/blobs/${blob}`, what }, options);
    },
    async resolve(selector, options) {
      const digest = "digest" in selector ? selector.digest : undefined;
      const selected = "digest" in selector ? selector.digest : selector.tag;
      const what = `resolving ${name}${digest === undefined ? ":" : "@"}${selected}`;
      const manifest = { ...request, path: `${repository}/manifests/${selected}`, headers: { accept: ACCEPT }, what };
      const attempt = () => resolveManifest(client, manifest, digest, options);
      return client.connected("document").run(() => retrying(attempt, client.retryDelaysMs, options), options);
    },
    read(target, options = {}) {
      const isDocument = isManifestType(target.mediaType) || isIndexType(target.mediaType);
      const place: BlobPlace = {
        ...request,
        kind: isDocument ? "document" : "blob",
        path: `${repository}/${isDocument ? "manifests" : "blobs"}/${target.digest}`,
        headers: isDocument ? { accept: ACCEPT } : {},
        what: `fetching ${target.digest} of ${name}`,
      };
      const { urls = [] } = target;
      const places = [place, ...urls.filter(isWebAddress).map((path): BlobPlace => ({ ...place, path }))];
      return checked(target, readFirst(client, places, target.size, options), options.offset);
    },
  };
}

const ACCEPT = [MediaType.ociIndex, MediaType.dockerIndex, MediaType.ociManifest, MediaType.dockerManifest, "*/*"].join(
  ", ",
);

type ManifestRequest = Omit<RegistryRequest, "method">;

/** By HEAD, which doesn't count as a pull; by GET where a registry doesn't tell enough that way. */
async function resolveManifest(
  client: RegistryClient,
  request: ManifestRequest,
  digest: Digest | undefined,
  options?: AbortOptions,
): Promise<Descriptor> {
  const head = await client.send({ ...request, method: "HEAD" }, options);
  head.discard();
  if (head.status === 404) throw await statusError(head, request.what);
  const described = head.status === 200 ? describe(head) : undefined;
  if (described === undefined) return getManifest(client, request, digest, options);
  if (digest !== undefined && described.digest !== digest) throw otherDigest(request.what, described.digest);
  return described;
}

function describe(head: HttpResponse): Descriptor | undefined {
  const mediaType = (head.header("content-type") ?? "").split(";", 1)[0]?.trim() ?? "";
  const digest = head.header("docker-content-digest") ?? "";
  const length = head.header("content-length") ?? "";
  if (!isDigest(digest) || !/^\d{1,9}$/.test(length) || !(isManifestType(mediaType) || isIndexType(mediaType)))
    return undefined;
  return { mediaType, digest, size: Number(length) };
}

async function getManifest(
  client: RegistryClient,
  request: ManifestRequest,
  digest: Digest | undefined,
  options?: AbortOptions,
): Promise<Descriptor> {
  const response = await client.send({ ...request, method: "GET" }, options);
  if (response.status !== 200) throw await statusError(response, request.what);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > MANIFEST_BYTES_MAX)
      throw new EngineError("invalid", `${request.what}: more than ${MANIFEST_BYTES_MAX} bytes of manifest`);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (isSchema1(bytes)) {
    const image = parseSchema1(bytes);
    if (digest !== undefined && image.digest !== digest) throw otherDigest(request.what, image.digest);
    throw new Schema1Error(request.what, image);
  }
  const actual = digestOf(bytes);
  if (digest !== undefined && actual !== digest) throw otherDigest(request.what, actual);
  const contentType = response.header("content-type")?.split(";", 1)[0]?.trim();
  const document = parseManifestOrIndex(bytes, KNOWN_TYPES.has(contentType ?? "") ? contentType : undefined);
  return {
    mediaType: document.kind === "index" ? document.index.mediaType : document.manifest.mediaType,
    digest: actual,
    size,
  };
}

const KNOWN_TYPES: ReadonlySet<string> = new Set([
  MediaType.ociIndex,
  MediaType.dockerIndex,
  MediaType.ociManifest,
  MediaType.dockerManifest,
]);

function otherDigest(what: string, actual: Digest): EngineError {
  return new EngineError("data-loss", `${what}: the registry gave ${actual}`);
}

/** Layers that may not be distributed lie elsewhere; what else a manifest names as an address doesn't concern us. */
function isWebAddress(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

/** From the first of PLACES that has it. */
async function* readFirst(
  client: RegistryClient,
  [place, ...others]: readonly BlobPlace[],
  size: number,
  options: ReadOptions,
): Bytes {
  if (place === undefined) return;
  try {
    yield* downloaded(client, place, size, options);
  } catch (error) {
    if (errorCode(error) !== "not-found" || others.length === 0) throw error;
    yield* readFirst(client, others, size, options);
  }
}

interface BlobPlace extends ManifestRequest {
  readonly kind: "document" | "blob";
}

/** The SIZE bytes at PLACE from the offset on, by one of the connections. */
async function* downloaded(client: RegistryClient, place: BlobPlace, size: number, options: ReadOptions): Bytes {
  const release = await take(client, place.kind, options);
  try {
    const open = (position: number) => openAt(client, place, position, options);
    yield* resumed({ sizeBytes: size, what: place.what, open }, client.retryDelaysMs, options);
  } finally {
    release();
  }
}

/** The body from POSITION on, also of a server that knows no ranges. */
async function openAt(
  client: RegistryClient,
  place: BlobPlace,
  position: number,
  options: AbortOptions,
): Promise<Bytes> {
  const range: Record<string, string> = position === 0 ? {} : { range: `bytes=${position}-` };
  const response = await client.send({ ...place, method: "GET", headers: { ...place.headers, ...range } }, options);
  if (response.status === 416 && position > 0) {
    response.discard();
    throw new EngineError("data-loss", `${place.what}: the registry has only ${position} bytes of it`);
  }
  if (response.status === 200) return position === 0 ? response.body : skipping(response.body, position);
  if (response.status !== 206) throw await statusError(response, place.what);
  const start = /^bytes (\d+)-/.exec(response.header("content-range") ?? "")?.[1];
  if (Number(start) === position) return response.body;
  response.discard();
  throw new EngineError(
    "failed",
    `${place.what}: asked for bytes from ${position} on, got them from ${start ?? "somewhere"}`,
  );
}

async function* skipping(body: Bytes, count: number): Bytes {
  let position = 0;
  for await (const chunk of body) {
    const wanted = chunk.subarray(Math.max(0, count - position));
    position += chunk.length;
    if (wanted.length > 0) yield wanted;
  }
}

/** Takes one of the connections; the caller gives it back by the function it gets. */
function take(client: RegistryClient, kind: Connection, { signal }: AbortOptions): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal && canceled(signal));
    if (signal) heardByMany(signal).addEventListener("abort", abort, { once: true });
    const held = (): Promise<void> =>
      new Promise((release) => {
        signal?.removeEventListener("abort", abort);
        if (signal?.aborted) release();
        else resolve(release);
      });
    client
      .connected(kind)
      .run(held, signal ? { signal } : {})
      .catch(reject);
  });
}
