import { createHash } from "node:crypto";
import { open, rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import {
  type AbortOptions,
  canceled,
  type Digest,
  digestFromHex,
  digestOf,
  EngineError,
  errorCode,
  messageOf,
  redactCredentials,
} from "../base/index.js";
import { type HttpClient, type HttpResponse, retryAfter, retrying, TransientError } from "../registry/index.js";
import type { Secrets } from "../session/index.js";
import { httpAuthorization } from "./http-auth.js";
import type { HttpEntities, HttpEntity } from "./http-entities.js";

/** What an address holds. */
export interface HttpBody {
  readonly digest: Digest;
  /** Seconds since the epoch, where the server says. */
  readonly lastModified: number | undefined;
}

export interface HttpFile extends HttpBody {
  /** A temporary file, removed at the end of the build if it is still there. */
  readonly path: string;
}

export interface DownloadOptions extends AbortOptions {
  /** Bytes of the body so far, and of all of it where that is known. */
  readonly onProgress?: (current: number, total: number | undefined) => void;
}

/** Addresses of HTTP as one build sees them: each is asked once. Disposing of it removes what was downloaded and not taken. */
export interface HttpDownloads extends AsyncDisposable {
  /**
   * What URL holds now. A body that the server says is the same as one seen earlier is not sent again. Errors: `invalid` for what is no
   * address, `not-found`, `denied`, `unavailable`, `failed`, `no-space`, `canceled`; credentials are never part of them.
   */
  look(url: string, options: DownloadOptions): Promise<HttpBody>;
  /** What URL holds, as a file that is the caller's from then on. */
  take(url: string, options: DownloadOptions): Promise<HttpFile>;
}

export interface HttpDownloadsOptions {
  readonly client: HttpClient;
  readonly entities: HttpEntities;
  readonly secrets: Secrets;
  /** A path for a new temporary file, which nobody else has. */
  readonly temporary: (kind: string) => string;
  /** Pauses before each further try, in milliseconds; their number is that of the further tries. */
  readonly retryDelaysMs: readonly number[];
}

export function createHttpDownloads(options: HttpDownloadsOptions): HttpDownloads {
  return new Downloads(options);
}

/** Bytes of one body, unpacked. */
const BODY_BYTES_MAX = 64 * 2 ** 30;
const USER_AGENT = "ashlar";

class Downloads implements HttpDownloads {
  readonly #options: HttpDownloadsOptions;
  readonly #seen = new Map<string, Promise<HttpBody>>();
  readonly #files = new Map<string, HttpFile>();

  constructor(options: HttpDownloadsOptions) {
    this.#options = options;
  }

  look(url: string, options: DownloadOptions): Promise<HttpBody> {
    const known = this.#seen.get(url);
    if (known !== undefined) return known;
    const looking = this.#look(url, options);
    this.#seen.set(url, looking);
    return looking;
  }

  async #look(url: string, options: DownloadOptions): Promise<HttpBody> {
    const request = await this.#request(url, options);
    const known = this.#options.entities.list(addressOf(url));
    const same = known.length > 0 ? await this.#unchanged(request, known) : undefined;
    if (same !== undefined) return bodyOf(same);
    const answer = await this.#download(request, known, options);
    if (!("path" in answer)) return bodyOf(answer);
    this.#files.set(url, answer);
    return answer;
  }

  async take(url: string, options: DownloadOptions): Promise<HttpFile> {
    const file = this.#files.get(url);
    this.#files.delete(url);
    if (file !== undefined) return file;
    const answer = await this.#download(await this.#request(url, options), [], options);
    if ("path" in answer) return answer;
    throw new EngineError("failed", `${shown(url)}: the server says that nothing has changed, but was not asked`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#seen.values());
    for (const { path: file } of this.#files.values()) await rm(file, { force: true });
  }

  async #request(text: string, options: AbortOptions): Promise<Request> {
    if (!URL.canParse(text)) throw new EngineError("invalid", `${JSON.stringify(shown(text))} is no address`);
    const url = new URL(text);
    const authorization = await httpAuthorization(url, this.#options.secrets, options);
    url.username = "";
    url.password = "";
    url.hash = "";
    // A server may have another tag for what it sends packed, so every request accepts the same.
    const headers = {
      "user-agent": USER_AGENT,
      "accept-encoding": "gzip",
      ...(authorization ? { authorization } : {}),
    };
    return { url, address: addressOf(text), headers, ...options };
  }

  /** The entity of KNOWN that the server still has. Some answer If-None-Match wrongly, so the tags are compared here too. */
  async #unchanged(request: Request, known: readonly HttpEntity[]): Promise<HttpEntity | undefined> {
    try {
      const response = await this.#options.client.send({ ...conditional(request, known), method: "HEAD" });
      response.discard();
      return response.status === 200 || response.status === 304 ? sameEntity(response, known) : undefined;
    } catch (error) {
      if (errorCode(error) === "canceled" || request.signal?.aborted) throw error;
      return undefined; // the GET that follows says what is wrong
    }
  }

  /** The body, or the entity of KNOWN that it is. */
  async #download(
    request: Request,
    known: readonly HttpEntity[],
    options: DownloadOptions,
  ): Promise<HttpFile | HttpEntity> {
    const attempt = async () => {
      const response = await this.#options.client.send({ ...conditional(request, known), method: "GET" });
      if (response.status === 304) return notModified(response, known);
      if (response.status < 200 || response.status > 299) throw statusFailure(response);
      return await this.#save(response, options);
    };
    try {
      const answer = await retrying(attempt, this.#options.retryDelaysMs, options);
      if ("path" in answer) await this.#remember(request.address, answer);
      return answer;
    } catch (error) {
      throw named(error, request.url, options);
    }
  }

  async #save(response: HttpResponse, options: DownloadOptions): Promise<Saved> {
    const file = this.#options.temporary("http");
    try {
      const digest = await save(response, file, options);
      const etag = etagOf(response);
      const lastModifiedText = response.header("last-modified");
      return { path: file, digest, etag, lastModifiedText, lastModified: secondsOf(lastModifiedText) };
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
  }

  async #remember(address: Digest, answer: HttpFile | Saved): Promise<void> {
    if (!("etag" in answer) || answer.etag === undefined) return;
    const { etag, digest, lastModifiedText } = answer;
    await this.#options.entities.put(address, { etag, digest, lastModified: lastModifiedText });
  }
}

interface Request extends AbortOptions {
  readonly url: URL;
  readonly address: Digest;
  readonly headers: Readonly<Record<string, string>>;
}

interface Saved extends HttpFile {
  readonly etag: string | undefined;
  readonly lastModifiedText: string | undefined;
}

/** A password in the address makes it another one, and is not to be read off it. */
function addressOf(url: string): Digest {
  return digestOf(`http-address-1\0${url}`);
}

function conditional({ url, headers, signal }: Request, known: readonly HttpEntity[]) {
  const tags = known.map(({ etag }) => etag).join(", ");
  return { url, headers: tags === "" ? headers : { ...headers, "if-none-match": tags }, signal };
}

/** A weak tag is compared as a strong one: the content was looked at byte by byte when it was noted. */
function etagOf(response: HttpResponse): string | undefined {
  const tag = response.header("etag")?.replace(/^W\//, "");
  return tag === undefined || tag === "" || tag.length > ETAG_LENGTH_MAX ? undefined : tag;
}

const ETAG_LENGTH_MAX = 1024;

/** An answer without a tag is about the only one that was asked for. */
function sameEntity(response: HttpResponse, known: readonly HttpEntity[]): HttpEntity | undefined {
  const tag = etagOf(response) ?? (response.status === 304 && known.length === 1 ? known[0]?.etag : undefined);
  return known.find(({ etag }) => etag === tag);
}

function notModified(response: HttpResponse, known: readonly HttpEntity[]): HttpEntity {
  response.discard();
  const same = sameEntity(response, known);
  if (same === undefined) throw new EngineError("failed", `invalid not-modified ETag: ${etagOf(response)}`);
  return same;
}

function bodyOf({ digest, lastModified }: HttpEntity): HttpBody {
  return { digest, lastModified: secondsOf(lastModified) };
}

/** The time of an HTTP date (RFC 9110, section 5.6.7) in seconds; undefined for what is none. */
function secondsOf(text: string | undefined): number | undefined {
  const milliseconds = /^[A-Z][a-z]{2,8},? .*\d/.test(text ?? "") ? Date.parse(text ?? "") : Number.NaN;
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}

/** Writes the body to FILE, unpacked where it was packed for the way only; its digest. */
async function save(response: HttpResponse, file: string, { signal, onProgress }: DownloadOptions): Promise<Digest> {
  const hash = createHash("sha256");
  const total = Number(response.header("content-length") ?? Number.NaN);
  const packed = response.header("content-encoding")?.toLowerCase() === "gzip";
  const handle = await open(file, "wx", 0o600);
  try {
    let size = 0;
    for await (const chunk of packed ? unpacked(response.body) : response.body) {
      if (signal?.aborted) throw canceled(signal);
      size += chunk.length;
      if (size > BODY_BYTES_MAX) throw new EngineError("invalid", `the answer is larger than ${BODY_BYTES_MAX} bytes`);
      hash.update(chunk);
      await handle.writeFile(chunk);
      onProgress?.(size, packed || Number.isNaN(total) ? undefined : total);
    }
  } finally {
    await handle.close();
  }
  return digestFromHex(hash.digest("hex"));
}

async function* unpacked(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const source = Readable.from(body);
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError("data-loss", `unpacking the answer: ${messageOf(error)}`, { cause: error });
  } finally {
    source.destroy();
  }
}

function statusFailure(response: HttpResponse): EngineError {
  response.discard();
  const { status, url } = response;
  const message = `invalid response status ${status}`;
  if (status === 404 || status === 410) return new EngineError("not-found", message);
  if (status === 401 || status === 403) {
    const hint = `lend the build a secret for that host: --secret id=HTTP_AUTH_TOKEN_${url.hostname},env=TOKEN`;
    return new EngineError("denied", message, { hint });
  }
  if (status === 408 || status === 429 || status >= 500)
    return new TransientError(message, { retryAfterMs: retryAfter(response) });
  return new EngineError("failed", message);
}

/** ERROR with the address it is about. */
function named(error: unknown, url: URL, { signal }: AbortOptions): EngineError {
  if (signal?.aborted) return canceled(signal);
  const hint = error instanceof EngineError ? error.hint : undefined;
  const options = { cause: error, ...(hint === undefined ? {} : { hint }) };
  return new EngineError(errorCode(error), `failed to download ${shown(url.href)}: ${messageOf(error)}`, options);
}

/** The address for people: what is asked may be as secret as a password (presigned addresses). */
function shown(url: string): string {
  return redactCredentials(url).replace(/[?#].*$/s, (rest) => (rest.startsWith("?") ? "?…" : ""));
}

/** The name under which a file is kept that is named NAME: one that is a plain file name. */
export function safeFileName(name: string): string {
  const base = path.posix.basename(name.trim());
  return base === "" || base === "." || base === ".." || /\p{Cc}/u.test(base) ? FALLBACK_NAME : base;
}

const FALLBACK_NAME = "download";
