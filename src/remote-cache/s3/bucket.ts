import { isIP } from "node:net";
import { type AbortOptions, type Clock, EngineError, hexOf } from "../../base/index.js";
import type { Bytes, Descriptor, Provider } from "../../oci/index.js";
import { type HttpClient, type HttpResponse, RETRY_DELAYS_MS, retrying, TransientError } from "../../registry/index.js";
import { encodedPath, encodedQuery, type Signer, sha256, signedHeaders } from "./signature.js";

/** A bucket of S3 or of a server that speaks as it does. */
export interface BucketOptions extends Signer {
  readonly bucket: string;
  /** `https://s3.example.com`; default: Amazon's of the region. */
  readonly endpoint?: URL | undefined;
  /** Whether the bucket is part of the path of ENDPOINT, instead of the host's name; it is where it can't be part of that. */
  readonly pathStyle: boolean;
  readonly client: HttpClient;
  readonly clock: Clock;
}

/** An object in a bucket. */
export interface StoredObject {
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

/** From so many bytes on, an object is sent in parts; so many bytes make a part, at least. */
const MULTIPART_BYTES = 64 * 1024 * 1024;
const PART_BYTES_MIN = 16 * 1024 * 1024;
/** Parts of an object. */
const PARTS_MAX = 10_000;
/** Bytes of an answer that is XML. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Bytes of an object that is copied in one piece. */
const COPY_BYTES_MAX = 5 * 1024 ** 3;

/** The objects of a bucket, by keys. Errors: `denied`, `not-found`, `unavailable`, `failed`, `canceled`. */
export class Bucket {
  readonly #options: BucketOptions;
  readonly #base: URL;

  constructor(options: BucketOptions) {
    this.#options = options;
    const { bucket, endpoint, pathStyle, region } = options;
    const base = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
    if ((pathStyle && endpoint !== undefined) || !mayBeHost(bucket, base))
      base.pathname = `${base.pathname.replace(/\/$/, "")}/${encodedPath(bucket)}`;
    else base.host = `${bucket}.${base.host}`;
    this.#base = base;
  }

  /** What there is of an object; undefined: nothing. */
  async head(key: string, options: AbortOptions): Promise<StoredObject | undefined> {
    const response = await this.#send({ method: "HEAD", key, what: `looking for ${key}` }, options);
    response.discard();
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw statusError(response, `looking for ${key}`);
    const sizeBytes = Number(response.header("content-length"));
    return { sizeBytes, modifiedAt: Date.parse(response.header("last-modified") ?? "") || 0 };
  }

  /** The bytes of an object from OFFSET on. */
  async get(key: string, offset: number, options: AbortOptions): Promise<HttpResponse> {
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const what = `fetching ${key}`;
    const response = await this.#send({ method: "GET", key, headers, what }, options);
    if (response.status !== (offset === 0 ? 200 : 206)) throw await failed(response, what);
    return response;
  }

  /** Puts an object of a known digest, read from SOURCE, in parts where it is large. */
  async put(key: string, object: Descriptor, source: Provider, options: AbortOptions): Promise<void> {
    if (object.size >= MULTIPART_BYTES) return this.#putParts(key, object, source, options);
    const body = { sizeBytes: object.size, open: () => source.read(object, options) };
    const what = `writing ${key}`;
    await this.#done({ method: "PUT", key, payload: hexOf(object.digest), body, what }, options);
  }

  /** Makes an object young again, where the bucket forgets old ones. */
  async touch(key: string, { sizeBytes }: StoredObject, options: AbortOptions): Promise<void> {
    if (sizeBytes >= COPY_BYTES_MAX) return; // copies of that size take parts of their own: it is sent anew when it is gone
    const headers = {
      "x-amz-copy-source": encodedPath(`/${this.#options.bucket}/${key}`),
      "x-amz-metadata-directive": "REPLACE",
      "x-amz-meta-updated-at": String(this.#options.clock.now()),
    };
    await this.#done({ method: "PUT", key, headers, what: `touching ${key}` }, options);
  }

  async #putParts(key: string, object: Descriptor, source: Provider, options: AbortOptions): Promise<void> {
    const begun = await this.#done({ method: "POST", key, query: { uploads: "" }, what: `writing ${key}` }, options);
    const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(begun)?.[1];
    if (uploadId === undefined) throw new EngineError("failed", `writing ${key}: the server began no upload`);
    try {
      const tags: string[] = [];
      const size = Math.max(PART_BYTES_MIN, Math.ceil(object.size / PARTS_MAX));
      for await (const part of inParts(source.read(object, options), size))
        tags.push(await this.#putPart({ key, uploadId, number: tags.length + 1 }, part, options));
      const parts = tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
      const text = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
      const answer = await this.#done(
        { method: "POST", key, query: { uploadId }, ...bodyOf(Buffer.from(text)), what: `writing ${key}` },
        options,
      );
      // Such an upload may fail after it was said to be all right.
      if (answer.includes("<Error>")) throw new EngineError("failed", `writing ${key}: ${reasonOf(answer)}`);
    } catch (error) {
      const response = this.#send({ method: "DELETE", key, query: { uploadId }, what: `giving up ${key}` }, {});
      await response.then((each) => each.discard()).catch(() => {}); // the server forgets it one day
      throw error;
    }
  }

  async #putPart(
    { key, uploadId, number }: { readonly key: string; readonly uploadId: string; readonly number: number },
    part: Buffer,
    options: AbortOptions,
  ): Promise<string> {
    const query = { partNumber: String(number), uploadId };
    const what = `writing part ${number} of ${key}`;
    const attempt = async () => {
      const response = await this.#send({ method: "PUT", key, query, ...bodyOf(part), what }, options);
      if (response.status !== 200) throw await failed(response, what);
      response.discard();
      return response.header("etag") ?? "";
    };
    return retrying(attempt, RETRY_DELAYS_MS, options);
  }

  /** The text of an answer that says that it is done. */
  #done(request: BucketRequest, options: AbortOptions): Promise<string> {
    const attempt = async () => {
      const response = await this.#send(request, options);
      if (response.status !== 200) throw await failed(response, request.what);
      return response.text(ANSWER_BYTES_MAX);
    };
    return retrying(attempt, RETRY_DELAYS_MS, options);
  }

  #send(request: BucketRequest, { signal }: AbortOptions): Promise<HttpResponse> {
    const { method, key, query = {}, headers = {}, payload = sha256(""), body, what } = request;
    const { client, clock } = this.#options;
    const url = new URL(this.#base);
    url.pathname = `${this.#base.pathname.replace(/\/$/, "")}/${encodedPath(key)}`;
    url.search = encodedQuery(query);
    const signed = signedHeaders({ method, url, headers, payload, at: clock.now() }, this.#options);
    const content = body ? { kind: "content" as const, ...body } : undefined;
    return client.send({ method, url, headers: signed, body: content, what, ...(signal ? { signal } : {}) });
  }
}

/** Whether a bucket can be part of a host's name: not before an address, and no dots under a certificate that is for one label more. */
function mayBeHost(bucket: string, { hostname, protocol }: URL): boolean {
  if (isIP(hostname.replace(/^\[|\]$/g, "")) !== 0) return false;
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  return new RegExp(protocol === "https:" ? `^${label}$` : `^${label}(?:\\.${label})*$`).test(bucket);
}

interface BucketRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** sha256 of the body, in hex. */
  readonly payload?: string;
  readonly body?: { readonly sizeBytes: number; open(): Bytes } | undefined;
  readonly what: string;
}

function bodyOf(bytes: Buffer): Pick<BucketRequest, "payload" | "body"> {
  async function* open() {
    yield bytes;
  }
  return { payload: sha256(bytes), body: { sizeBytes: bytes.length, open } };
}

/** CONTENT in pieces of SIZE bytes, the last one shorter. */
async function* inParts(content: Bytes, size: number): AsyncGenerator<Buffer, void, undefined> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    for (let rest = chunk; rest.length > 0; ) {
      const piece = rest.subarray(0, size - length);
      pieces.push(piece);
      length += piece.length;
      rest = rest.subarray(piece.length);
      if (length < size) continue;
      yield Buffer.concat(pieces);
      [pieces, length] = [[], 0];
    }
  }
  if (length > 0) yield Buffer.concat(pieces);
}

async function failed(response: HttpResponse, what: string): Promise<EngineError> {
  const text = await response.text(ANSWER_BYTES_MAX).catch(() => "");
  return statusError(response, what, text);
}

function statusError({ status }: HttpResponse, what: string, text = ""): EngineError {
  const message = `${what}: ${reasonOf(text)} (HTTP ${status})`;
  if (status === 404) return new EngineError("not-found", message);
  if (status === 401 || status === 403) return new EngineError("denied", message);
  return status === 429 || status >= 500 ? new TransientError(message) : new EngineError("failed", message);
}

function reasonOf(text: string): string {
  return (
    /<Message>([^<]{1,500})<\/Message>/.exec(text)?.[1] ??
    /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ??
    "the server refused it"
  );
}
