import { type AbortOptions, EngineError, errorCode } from "../base/index.js";
import type { Bytes, Descriptor, Provider } from "../oci/index.js";
import { statusError, TransientError } from "./errors.js";
import { type HttpResponse, shownOrigin } from "./http.js";
import type { RegistryClient, RegistryRequest } from "./registry-client.js";
import { pause, retrying } from "./retries.js";

/** A blob on its way to a repository. */
export interface Upload {
  readonly client: RegistryClient;
  /** `library/alpine`. */
  readonly repository: string;
  readonly blob: Descriptor;
  readonly source: Provider;
  /** Repositories of the same registry that may have it, the likeliest first. */
  readonly mountFrom: readonly string[];
  /** What is being done, for errors. */
  readonly what: string;
  /** Hears how many bytes are sent; fewer than before after a cut. */
  onSent(bytes: number): void;
}

/** How a blob came to be in a repository. */
export type UploadOutcome = "present" | "mounted" | "uploaded";

/**
 * Sees to it that the repository has the blob (distribution-spec, Push): it may be there, or be mounted from another repository, else it
 * is sent, whole or in chunks where the registry takes no more at once. What a cut connection has sent before isn't sent again if the
 * registry kept it. Errors: `denied`, `unavailable`, `failed`, `invalid`, those of the source, `canceled`.
 */
export async function uploadBlob(upload: Upload, options: AbortOptions): Promise<UploadOutcome> {
  const { client } = upload;
  const again = <T>(attempt: () => Promise<T>): Promise<T> => retrying(attempt, client.retryDelaysMs, options);
  if (await again(() => isPresent(upload, options))) return "present";
  const started = await again(() => mountOrStart(upload, options));
  if (started === "mounted") return "mounted";
  return send(upload, started, options);
}

/** A cut that brought less than this doesn't count as progress. Bytes. */
const PROGRESS_BYTES = 1024 * 1024;
/** A chunk, for registries that refuse a blob as a whole: below what proxies before them commonly let through. Bytes. */
const CHUNK_BYTES = 8 * 1024 * 1024;
/** The least that is tried where that is refused, too. Bytes. */
const CHUNK_BYTES_MIN = 256 * 1024;
/** Repositories that are asked for a blob before it is sent. */
const MOUNTS_MAX = 2;

/** An upload that the registry has begun. */
interface Session {
  /** Where to go on. */
  readonly location: string;
  /** Bytes that the registry has. */
  readonly position: number;
  /** The least it takes in a chunk that isn't the last one. */
  readonly chunkBytesMin: number;
  /** What to send in a chunk, if that is not less. */
  readonly chunkBytes: number;
}

/** The registry takes the blob, but not all at once. */
class TooLargeError extends EngineError {}

async function isPresent(upload: Upload, options: AbortOptions): Promise<boolean> {
  const path = `${upload.repository}/blobs/${upload.blob.digest}`;
  const response = await ask(upload, { method: "HEAD", path }, options);
  response.discard();
  if (response.status === 200) return true;
  if (response.status === 404) return false;
  throw await failure(upload, response);
}

async function mountOrStart(upload: Upload, options: AbortOptions): Promise<"mounted" | Session> {
  let session: Session | undefined;
  for (const from of upload.mountFrom.slice(0, MOUNTS_MAX)) {
    const query = new URLSearchParams({ mount: upload.blob.digest, from });
    const path = `${upload.repository}/blobs/uploads/?${query}`;
    const response = await ask(upload, { method: "POST", path, from }, options).catch(unlessDenied);
    response?.discard();
    // Of each answer but `mounted`, an upload is what it began.
    if (session !== undefined) await abandon(upload, session, options);
    if (response?.status === 201) return "mounted";
    session = response?.status === 202 ? sessionAt(upload, response) : undefined;
  }
  return session ?? start(upload, options);
}

/** Tells the registry that nothing will come; it finds that out by itself, too. */
async function abandon(upload: Upload, session: Session, options: AbortOptions): Promise<void> {
  const request = { method: "DELETE", path: session.location } as const;
  await ask(upload, request, options).then(
    (response) => response.discard(),
    (error) => {
      if (errorCode(error) === "canceled") throw error;
    },
  );
}

function unlessDenied(error: unknown): undefined {
  if (errorCode(error) === "denied") return undefined;
  throw error;
}

async function start(upload: Upload, options: AbortOptions): Promise<Session> {
  const response = await ask(upload, { method: "POST", path: `${upload.repository}/blobs/uploads/` }, options);
  if (![200, 202, 204].includes(response.status)) throw await failure(upload, response);
  response.discard();
  return sessionAt(upload, response);
}

async function send(upload: Upload, started: Session, options: AbortOptions): Promise<UploadOutcome> {
  const { client, blob } = upload;
  let session = started;
  let chunkBytes = CHUNK_BYTES;
  let isChunked = false;
  let progressedTo = 0;
  for (let cuts = 0; ; ) {
    try {
      if (isChunked) session = await sendChunks(upload, { ...session, chunkBytes }, options);
      await finish(upload, session, options);
      return "uploaded";
    } catch (error) {
      if (error instanceof TooLargeError) {
        if (isChunked) chunkBytes /= 2;
        if (isChunked && chunkBytes < Math.max(CHUNK_BYTES_MIN, session.chunkBytesMin)) throw error;
        isChunked = true;
        session = await retrying(() => start(upload, options), client.retryDelaysMs, options);
        continue;
      }
      if (!(error instanceof TransientError)) throw error;
      const resumed = await recover(upload, session, options).catch(unlessTransient);
      if (resumed === "present") return "uploaded";
      if (resumed !== undefined) session = resumed;
      if (session.position - progressedTo >= PROGRESS_BYTES) [cuts, progressedTo] = [0, session.position];
      const pauseMs = client.retryDelaysMs[cuts++];
      if (pauseMs === undefined) throw error;
      upload.onSent(Math.min(session.position, blob.size));
      await pause(error.retryAfterMs ?? pauseMs, options);
    }
  }
}

function unlessTransient(error: unknown): undefined {
  if (error instanceof TransientError) return undefined;
  throw error;
}

/** Where a cut upload stands. One that the registry has forgotten may have been the last word, or is begun anew. */
async function recover(upload: Upload, session: Session, options: AbortOptions): Promise<Session | "present"> {
  const response = await ask(upload, { method: "GET", path: session.location }, options);
  response.discard();
  const end = rangeEnd(response);
  // `0-0` is said of one byte, and by some also of none.
  if (response.status < 300 && end !== undefined && end > 0 && end < upload.blob.size) {
    return { ...moved(upload, session, response), position: end + 1 };
  }
  if (await isPresent(upload, options)) return "present";
  return start(upload, options);
}

/** All but what the closing request may hold. */
async function sendChunks(upload: Upload, started: Session, options: AbortOptions): Promise<Session> {
  let session = started;
  while (session.position < upload.blob.size) {
    const sizeBytes = Math.min(
      Math.max(session.chunkBytes, session.chunkBytesMin),
      upload.blob.size - session.position,
    );
    const sent = { method: "PATCH", path: session.location, part: { position: session.position, sizeBytes } } as const;
    const response = await ask(upload, sent, options);
    if (![200, 201, 202, 204].includes(response.status)) throw await rejected(upload, response);
    response.discard();
    const expected = session.position + sizeBytes;
    const end = rangeEnd(response);
    const position = end === undefined ? expected : end + 1;
    if (position > expected || position <= session.position)
      throw new TransientError(`${upload.what}: the registry kept ${position} bytes of ${expected}`);
    session = { ...moved(upload, session, response), position };
  }
  return session;
}

/** Sends what is missing and closes the upload. */
async function finish(upload: Upload, session: Session, options: AbortOptions): Promise<void> {
  const { blob } = upload;
  const { position, location } = session;
  const path = `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(blob.digest)}`;
  const part = { position, sizeBytes: blob.size - position };
  const response = await ask(upload, { method: "PUT", path, part }, options);
  if (![200, 201, 202, 204].includes(response.status)) throw await rejected(upload, response);
  response.discard();
  const stored = response.header("docker-content-digest");
  if (stored !== undefined && stored !== blob.digest)
    throw new EngineError("data-loss", `${upload.what}: the registry stored ${stored}`);
}

interface Asked {
  readonly method: RegistryRequest["method"];
  readonly path: string;
  readonly from?: string;
  readonly part?: Part;
}

/** Bytes of the blob. */
interface Part {
  readonly position: number;
  readonly sizeBytes: number;
}

function ask(upload: Upload, { method, path, from, part }: Asked, options: AbortOptions): Promise<HttpResponse> {
  const { client, repository, blob, what } = upload;
  const request = { method, path, scope: { repository, access: "push", from }, what } as const;
  if (part === undefined) {
    return client.send(method === "POST" ? { ...request, headers: { "content-length": "0" } } : request, options);
  }
  const { position, sizeBytes } = part;
  const isPartial = sizeBytes > 0 && sizeBytes < blob.size;
  const range: Record<string, string> = isPartial ? { "content-range": `${position}-${position + sizeBytes - 1}` } : {};
  const body = { kind: "content", sizeBytes, open: () => bytesOf(upload, part, options) } as const;
  return client.send({ ...request, body, headers: { "content-type": "application/octet-stream", ...range } }, options);
}

async function* bytesOf({ source, blob, onSent }: Upload, part: Part, options: AbortOptions): Bytes {
  const end = part.position + part.sizeBytes;
  if (part.sizeBytes === 0) return;
  let position = part.position;
  for await (const chunk of source.read(blob, { ...options, offset: position })) {
    const wanted = chunk.subarray(0, end - position);
    position += wanted.length;
    yield wanted;
    onSent(position);
    // Where the blob ends, so that the source can say whether it was the right one.
    if (position === end && end < blob.size) return;
  }
  if (position < end) throw new EngineError("data-loss", `${blob.digest} ends after ${position} of ${end} bytes`);
}

/** The last byte that the registry says it has; undefined if it doesn't say. */
function rangeEnd(response: HttpResponse): number | undefined {
  const end = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.header("range") ?? "")?.[1];
  return end === undefined ? undefined : Number(end);
}

function sessionAt(upload: Upload, response: HttpResponse): Session {
  const least = /^\d{1,10}$/.exec(response.header("oci-chunk-min-length") ?? "")?.[0];
  return {
    location: locationOf(upload, response),
    position: 0,
    chunkBytesMin: Number(least ?? 0),
    chunkBytes: CHUNK_BYTES,
  };
}

function moved(upload: Upload, session: Session, response: HttpResponse): Session {
  return response.header("location") === undefined ? session : { ...session, location: locationOf(upload, response) };
}

/** Where to go on: the header is an address, or a part of the one that was asked. */
function locationOf({ what }: Upload, response: HttpResponse): string {
  const location = response.header("location");
  const url =
    location !== undefined && URL.canParse(location, response.url.href) ? new URL(location, response.url) : undefined;
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && response.url.protocol === "http:");
  if (url === undefined || !isSafe || url.username !== "" || url.password !== "") {
    throw new EngineError(
      "failed",
      `${what}: refusing to upload to ${location === undefined ? "where the registry doesn't say" : shownOrigin(url)}`,
    );
  }
  return url.href;
}

async function rejected(upload: Upload, response: HttpResponse): Promise<EngineError> {
  const error = await failure(upload, response);
  if (response.status === 413) return new TooLargeError("failed", error.message);
  // The upload is gone, or stands elsewhere than we believe.
  if (response.status === 404 || response.status === 416) return new TransientError(error.message);
  return error;
}

function failure({ what }: Upload, response: HttpResponse): Promise<EngineError> {
  return statusError(response, what, "push");
}
