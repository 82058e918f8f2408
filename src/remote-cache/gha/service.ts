import { createHash } from "node:crypto";
import { type AbortOptions, EngineError } from "../../base/index.js";
import type { Bytes } from "../../oci/index.js";
import { type HttpClient, type HttpResponse, RETRY_DELAYS_MS, retrying, TransientError } from "../../registry/index.js";

/** GitHub's cache service, version 2: entries by keys, whose bytes lie in blobs of Azure's under signed addresses. */
export interface ServiceOptions {
  /** ACTIONS_RESULTS_URL. */
  readonly url: URL;
  /** ACTIONS_RUNTIME_TOKEN. */
  readonly token: string;
  readonly client: HttpClient;
}

/** An entry that was found. */
export interface ServiceEntry {
  readonly key: string;
  /** Where it can be read, for a while. */
  readonly url: URL;
}

/** What kind of entries these are: those of other programs aren't found. */
const VERSION = createHash("sha256").update("ashlar-cache-1").digest("hex");
/** Bytes of an answer. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** From so many bytes on, an entry is sent in blocks of so many. */
const BLOCKS_BYTES = 64 * 1024 * 1024;
const BLOCK_BYTES = 32 * 1024 * 1024;

/** Errors: `denied`, `unavailable`, `failed`, `canceled`. */
export class CacheService {
  readonly #options: ServiceOptions;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** The entry KEY, else the newest whose key begins with PREFIX. */
  async find(key: string, prefix: string | undefined, options: AbortOptions): Promise<ServiceEntry | undefined> {
    const body = { key, restore_keys: prefix === undefined ? [] : [prefix], version: VERSION };
    const answer = await this.#call("GetCacheEntryDownloadURL", body, options);
    if (answer?.ok !== true) return undefined;
    const { matched_key: matched = key, signed_download_url: url } = answer;
    const fits = matched === key || (prefix !== undefined && String(matched).startsWith(prefix));
    return fits ? { key: String(matched), url: address(url) } : undefined;
  }

  /** The bytes of an entry from OFFSET on. */
  async read({ key, url }: ServiceEntry, offset: number, { signal }: AbortOptions): Promise<Bytes> {
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const what = `fetching ${key}`;
    const response = await this.#options.client.send({
      method: "GET",
      url,
      headers,
      what,
      ...(signal ? { signal } : {}),
    });
    if (response.status !== (offset === 0 ? 200 : 206)) throw await failed(response, what);
    return response.body;
  }

  /** Makes an entry; false if there is one of that key, or one is being made. */
  async write(key: string, content: EntryContent, options: AbortOptions): Promise<boolean> {
    const made = await this.#call("CreateCacheEntry", { key, version: VERSION }, options);
    if (made?.ok !== true) return false;
    const url = address(made.signed_upload_url);
    if (content.sizeBytes < BLOCKS_BYTES) await this.#put(url, { ...content, key }, options);
    else await this.#putBlocks(url, { ...content, key }, options);
    const body = { key, size_bytes: String(content.sizeBytes), version: VERSION };
    const done = await this.#call("FinalizeCacheEntryUpload", body, options);
    if (done?.ok !== true) throw new EngineError("failed", `writing ${key}: the service did not take it`);
    return true;
  }

  async #put(url: URL, { key, sizeBytes, open }: EntryContent & { readonly key: string }, options: AbortOptions) {
    const headers = { "x-ms-blob-type": "BlockBlob", "content-type": "application/octet-stream" };
    await this.#send({ url, headers, body: { kind: "content", sizeBytes, open }, what: `writing ${key}` }, options);
  }

  async #putBlocks(url: URL, { key, open }: EntryContent & { readonly key: string }, options: AbortOptions) {
    const ids: string[] = [];
    for await (const block of blocksOf(open())) {
      const id = Buffer.from(String(ids.length).padStart(8, "0")).toString("base64");
      ids.push(id);
      const what = `writing part ${ids.length} of ${key}`;
      await this.#send(
        { url: asked(url, { comp: "block", blockid: id }), headers: {}, body: bodyOf(block), what },
        options,
      );
    }
    const list = `<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join("")}</BlockList>`;
    const body = bodyOf(Buffer.from(list));
    await this.#send({ url: asked(url, { comp: "blocklist" }), headers: {}, body, what: `writing ${key}` }, options);
  }

  #send({ what, ...request }: Sent, { signal }: AbortOptions): Promise<void> {
    const attempt = async () => {
      const response = await this.#options.client.send({
        method: "PUT",
        ...request,
        what,
        ...(signal ? { signal } : {}),
      });
      if (response.status !== 201) throw await failed(response, what);
      response.discard();
    };
    return retrying(attempt, RETRY_DELAYS_MS, signal ? { signal } : {});
  }

  /** Calls the service; undefined where it says that there is no such entry, or that there is one already. */
  #call(
    method: string,
    message: object,
    { signal }: AbortOptions,
  ): Promise<Readonly<Record<string, unknown>> | undefined> {
    const { client, url, token } = this.#options;
    const place = new URL(url);
    place.pathname = `${url.pathname.replace(/\/+$/, "")}/twirp/github.actions.results.api.v1.CacheService/${method}`;
    const what = `asking the cache service of GitHub Actions (${method})`;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const attempt = async () => {
      const body = { kind: "secret", text: JSON.stringify(message) } as const;
      const response = await client.send({
        method: "POST",
        url: place,
        headers,
        body,
        what,
        ...(signal ? { signal } : {}),
      });
      if (response.status === 404 || response.status === 409) {
        response.discard();
        return undefined;
      }
      if (response.status !== 200) throw await failed(response, what);
      return parsed(await response.text(ANSWER_BYTES_MAX), what);
    };
    return retrying(attempt, RETRY_DELAYS_MS, signal ? { signal } : {});
  }
}

export interface EntryContent {
  readonly sizeBytes: number;
  open(): Bytes;
}

interface Sent {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: EntryContent & { readonly kind: "content" };
  readonly what: string;
}

function bodyOf(bytes: Buffer): Sent["body"] {
  async function* open() {
    yield bytes;
  }
  return { kind: "content", sizeBytes: bytes.length, open };
}

async function* blocksOf(content: Bytes): AsyncGenerator<Buffer, void, undefined> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    pieces.push(chunk);
    length += chunk.length;
    if (length < BLOCK_BYTES) continue;
    yield Buffer.concat(pieces);
    [pieces, length] = [[], 0];
  }
  if (length > 0) yield Buffer.concat(pieces);
}

/** URL with more questions. */
function asked(url: URL, query: Readonly<Record<string, string>>): URL {
  const more = new URL(url);
  for (const [name, value] of Object.entries(query)) more.searchParams.set(name, value);
  return more;
}

function address(text: unknown): URL {
  if (typeof text === "string" && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
  throw new EngineError("failed", "the cache service of GitHub Actions gave no address");
}

function parsed(text: string, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // It is told below.
  }
  throw new EngineError("failed", `${what}: the answer is no JSON object`);
}

/** The addresses are secrets: what is told names none. */
async function failed(response: HttpResponse, what: string): Promise<EngineError> {
  const { status } = response;
  const text = await response.text(ANSWER_BYTES_MAX).catch(() => "");
  const reason = /"msg":\s*"([^"]{1,500})"/.exec(text)?.[1] ?? /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1];
  const message = `${what}: ${reason ?? "the server refused it"} (HTTP ${status})`;
  if (status === 401 || status === 403) return new EngineError("denied", message);
  return status === 429 || status >= 500 ? new TransientError(message) : new EngineError("failed", message);
}
