import { setImmediate } from "node:timers/promises";
import type { SecureContextOptions } from "node:tls";
import type { Dispatcher } from "undici";
import { type AbortOptions, EngineError } from "../base/index.js";
import type { Bytes } from "../oci/index.js";
import { masking } from "./confidence.js";
import { transportError } from "./errors.js";
import type { HostOptions } from "./host.js";

export interface HttpRequest extends AbortOptions {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
  /** What is being done, for errors. */
  readonly what?: string | undefined;
}

/** What is sent along. */
export type RequestBody =
  /** Never sent again to where a redirect leads. */
  | { readonly kind: "secret"; readonly text: string }
  /** So many bytes, opened anew for each redirect. What `open` throws is what the request ends with. */
  | { readonly kind: "content"; readonly sizeBytes: number; open(): Bytes };

/** An answer whose body has not been read. Whoever gets it reads the body to its end or calls `discard`. */
export interface HttpResponse {
  readonly method: string;
  /** The URL that answered, after redirects. */
  readonly url: URL;
  readonly status: number;
  /** By its lower-case name. */
  header(name: string): string | undefined;
  readonly body: Bytes;
  /** The whole body as text; `invalid` if it has more bytes than MAX_BYTES. */
  text(maxBytes: number): Promise<string>;
  /** TEXT of the server's without what the request said in confidence. */
  masked(text: string): string;
  /** Gives the connection back without the body. */
  discard(): void;
}

export interface HttpClient {
  /**
   * Sends REQUEST and follows redirects: all of a GET or HEAD, of others those that keep the method, and none of a secret. Errors:
   * `TransientError`, `unavailable`, `failed`, `canceled`, and those of the body that is sent.
   */
  send(request: HttpRequest): Promise<HttpResponse>;
  close(): Promise<void>;
}

/** Proxies, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY name them. */
export interface ProxyOptions {
  readonly http?: string;
  readonly https?: string;
  readonly none?: string;
}

/** Where redirects may lead: `secure` never from HTTPS to HTTP, `any` to every address of HTTP and HTTPS. */
export type RedirectPolicy = "secure" | "any";

/** Gives the certificate authorities that are trusted, in PEM, one after another. */
export type Authorities = () => Promise<string>;

export interface HttpClientOptions {
  readonly proxy?: ProxyOptions | undefined;
  /** Default: `secure`. */
  readonly redirects?: RedirectPolicy;
  /** Default: those Node knows. */
  readonly authorities?: Authorities | undefined;
  /** Until an answer of which nothing arrives any more is given up: a TransientError. Default: half a minute. Milliseconds. */
  readonly stallMs?: number | undefined;
}

/** A client with its own connections. Nothing is loaded or opened before the first request. */
export function createHttpClient(host: HostOptions, options: HttpClientOptions = {}): HttpClient {
  const { redirects = "secure" } = options;
  let undici: Promise<Undici> | undefined;
  return {
    async send(request) {
      undici ??= load(host, options);
      return follow(await undici, request, redirects);
    },
    async close() {
      await (await undici)?.dispatcher.destroy();
    },
  };
}

/** Redirects until we believe that it is a loop. */
const REDIRECTS_MAX = 10;
/** Until a connection stands; until an answer begins; until the next bytes of it. Milliseconds. */
const CONNECT_TIMEOUT_MS = 20_000;
const HEADERS_TIMEOUT_MS = 60_000;
const STALL_MS = 30_000;
/** Until a server that got a large body answers: it may put the parts together first. Milliseconds. */
const STORED_TIMEOUT_MS = 600_000;
/** A body of less than this is no large one. Bytes. */
const LARGE_BODY_BYTES = 1024 * 1024;
/** Bytes of a body nobody wants that are read all the same, since that keeps the connection for the next request. */
const DISCARDED_BYTES_MAX = 16 * 1024;

interface Undici {
  readonly request: typeof import("undici").request;
  readonly dispatcher: Dispatcher;
}

async function load(
  host: HostOptions,
  { proxy, authorities = listedAuthorities, stallMs = STALL_MS }: HttpClientOptions,
): Promise<Undici> {
  const { Agent, EnvHttpProxyAgent, request } = await import("undici");
  const tls = await tlsOptions(host, authorities);
  const connect = { ...tls, timeout: CONNECT_TIMEOUT_MS };
  const options = { connect, headersTimeout: HEADERS_TIMEOUT_MS, bodyTimeout: stallMs };
  if (proxy === undefined) return { request, dispatcher: new Agent(options) };
  const { http = "", https = "", none = "" } = proxy;
  return {
    request,
    dispatcher: new EnvHttpProxyAgent({
      ...options,
      requestTls: tls,
      // What is in the clear is asked of the proxy, as others do: many tunnel to the ports of TLS alone.
      proxyTunnel: false,
      httpProxy: http,
      httpsProxy: https,
      noProxy: none,
    }),
  };
}

async function tlsOptions(
  host: HostOptions,
  authorities: Authorities,
): Promise<SecureContextOptions & { readonly rejectUnauthorized?: boolean }> {
  if (host.scheme === "http") return {};
  const { ca, clientCertificates = [], verify } = host;
  const pairs = {
    cert: clientCertificates.map(({ certificate }) => certificate),
    key: clientCertificates.map(({ key }) => key),
  };
  const options = {
    ...(verify === false ? { rejectUnauthorized: false } : {}),
    ...(clientCertificates.length > 0 ? pairs : {}),
  };
  // Without any Node trusts those it knows, and has read them already.
  if (ca === undefined && authorities === listedAuthorities) return options;
  return { ...options, ca: [await authorities(), ...(ca === undefined ? [] : [ca])] };
}

async function listedAuthorities(): Promise<string> {
  const { rootCertificates } = await import("node:tls");
  return rootCertificates.join("\n");
}

async function follow(undici: Undici, request: HttpRequest, policy: RedirectPolicy): Promise<HttpResponse> {
  let current = request;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const response = await sendOnce(undici, current);
    const location = isFollowed(request, response.status) ? response.header("location") : undefined;
    if (location === undefined) return response;
    response.discard();
    current = { ...current, ...redirected(current, location, policy) };
  }
  throw new EngineError("failed", `${request.url.host}: more than ${REDIRECTS_MAX} redirects`);
}

function isFollowed({ method, body }: HttpRequest, status: number): boolean {
  if (status === 307 || status === 308) return body?.kind !== "secret";
  return (method === "GET" || method === "HEAD") && (status === 301 || status === 302 || status === 303);
}

/** The credential stays with the origin it was meant for. */
function redirected(
  { url, headers }: HttpRequest,
  location: string,
  policy: RedirectPolicy,
): Pick<HttpRequest, "url" | "headers"> {
  const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  const isClear = target?.protocol === "http:" && (policy === "any" || url.protocol === "http:");
  const isSafe = target?.protocol === "https:" || isClear;
  if (target === undefined || !isSafe) {
    throw new EngineError("failed", `${url.host}: refusing a redirect to ${shownOrigin(target)}`);
  }
  if (target.origin === url.origin) return { url: target, headers };
  const { authorization: _, ...rest } = headers;
  return { url: target, headers: rest };
}

/** Where URL leads, for errors; undefined is what is no URL at all. */
export function shownOrigin(url: URL | undefined): string {
  if (url === undefined) return "what is no URL";
  // Only the schemes of the web have origins.
  return url.origin === "null" ? `${url.protocol}//${url.host}` : url.origin;
}

async function sendOnce({ request: send, dispatcher }: Undici, request: HttpRequest): Promise<HttpResponse> {
  const { method, url, headers, signal } = request;
  const { host } = url;
  // The client takes a connection up again in the turn after its last answer: until then it would open another one.
  await setImmediate();
  const sent = await openBody(request);
  // Without `reset: false` it would close its connection after each HEAD.
  const options = { dispatcher, method, reset: false, ...(signal ? { signal } : {}), ...sent.options };
  const answer = await send(url.href, { ...options, headers: { ...headers, ...sent.headers } }).catch(
    (cause: unknown) => Promise.reject(sent.failure() ?? transportError(cause, host, request)),
  );
  // A stream nobody reads any more must not bring the process down when it fails.
  answer.body.on("error", () => undefined);
  const bytes = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of answer.body) yield chunk as Uint8Array;
    } catch (cause) {
      throw transportError(cause, host, request);
    } finally {
      answer.body.destroy();
    }
  };
  const stream = bytes();
  return {
    method,
    url,
    status: answer.statusCode,
    header(name) {
      const value = answer.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body: stream,
    masked: masking(request),
    text: (maxBytes) => readText(stream, host, maxBytes),
    discard: () => void answer.body.dump({ limit: DISCARDED_BYTES_MAX }).catch(() => undefined),
  };
}

interface SentBody {
  readonly options: Pick<Dispatcher.RequestOptions, "body" | "headersTimeout">;
  readonly headers: Readonly<Record<string, string>>;
  /** What the body itself failed with. */
  failure(): unknown;
}

async function openBody({ body }: HttpRequest): Promise<SentBody> {
  if (body === undefined) return { options: { body: null }, headers: {}, failure: () => undefined };
  if (body.kind === "secret") return { options: { body: body.text }, headers: {}, failure: () => undefined };
  const { Readable } = await import("node:stream");
  let failure: unknown;
  const watched = async function* (): Bytes {
    try {
      yield* body.open();
    } catch (cause) {
      failure = cause;
      throw cause;
    }
  };
  const isLarge = body.sizeBytes >= LARGE_BODY_BYTES;
  return {
    options: { body: Readable.from(watched()), ...(isLarge ? { headersTimeout: STORED_TIMEOUT_MS } : {}) },
    headers: { "content-length": String(body.sizeBytes) },
    failure: () => failure,
  };
}

async function readText(body: Bytes, host: string, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw new EngineError("invalid", `${host}: answered with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
