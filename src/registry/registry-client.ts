import { type AbortOptions, type Clock, createLimiter, type Limiter } from "../base/index.js";
import { type Authenticator, type CredentialSource, createAuthenticator, type TokenCache } from "./authenticator.js";
import { statusError } from "./errors.js";
import { baseUrl, type HostOptions } from "./host.js";
import { createHttpClient, type HttpResponse, type ProxyOptions } from "./http.js";
import { RETRY_DELAYS_MS } from "./retries.js";

/** Requests to one registry's API: authorized, and so many at a time. */
export interface RegistryClient {
  /**
   * Sends REQUEST and gives the answer whatever its status, but for 401, 408, 429 and 5xx, which are thrown; the last three as
   * TransientError. The caller reads or discards the body.
   */
  send(request: RegistryRequest, options?: AbortOptions): Promise<HttpResponse>;
  /** Waits for one of the connections for WORK, which holds it until it ends. */
  connected(kind: "document" | "blob"): Limiter;
  /** The pauses to make before further tries. */
  readonly retryDelaysMs: readonly number[];
  close(): Promise<void>;
}

export interface RegistryRequest {
  readonly method: "GET" | "HEAD";
  /** Relative to the API's base: `library/alpine/manifests/3`. */
  readonly path: string;
  /** What the request needs: `repository:library/alpine:pull`. */
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is being done, for errors: `resolving docker.io/library/alpine:3`. */
  readonly what: string;
}

export interface RegistryClientOptions {
  readonly registry: string;
  readonly host: HostOptions;
  readonly tokens: TokenCache;
  readonly clock: Clock;
  readonly credentials?: CredentialSource | undefined;
  readonly proxy?: ProxyOptions | undefined;
  readonly retryDelaysMs?: readonly number[] | undefined;
}

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { registry, host, tokens, clock, credentials, proxy, retryDelaysMs = RETRY_DELAYS_MS } = options;
  const base = baseUrl(registry, host);
  const http = createHttpClient(host, proxy);
  const authenticator = createAuthenticator({ registry, protocol: base.protocol, http, credentials, tokens, clock });
  const limiters = { blob: createLimiter(BLOB_CONNECTIONS_MAX), document: createLimiter(DOCUMENT_CONNECTIONS_MAX) };
  const send = async (request: RegistryRequest, abort: AbortOptions = {}): Promise<HttpResponse> => {
    const url = new URL(request.path, base);
    const sendAs = (authorization: string | undefined): Promise<HttpResponse> => {
      const headers = { "user-agent": "ashlar", "accept-encoding": "identity", ...request.headers };
      return http.send({
        method: request.method,
        url,
        headers: authorization ? { ...headers, authorization } : headers,
        ...abort,
      });
    };
    const response = await authorized(sendAs, authenticator, request.scope, abort);
    const { status } = response;
    if (status === 401 || status === 408 || status === 429 || status >= 500)
      throw await statusError(response, request.what);
    return response;
  };
  return {
    send,
    connected: (kind) => limiters[kind],
    retryDelaysMs,
    close: () => http.close(),
  };
}

/** Connections to one registry for blobs, and besides them for manifests, which must not wait behind large layers. */
const BLOB_CONNECTIONS_MAX = 4;
const DOCUMENT_CONNECTIONS_MAX = 2;

/** Sends with what authorized us before; once more, if that wasn't enough, with what the registry asks for. */
async function authorized(
  send: (authorization: string | undefined) => Promise<HttpResponse>,
  authenticator: Authenticator,
  scope: string,
  options: AbortOptions,
): Promise<HttpResponse> {
  const sent = await authenticator.known(scope);
  const response = await send(sent);
  const challenge = response.status === 401 ? response.header("www-authenticate") : undefined;
  if (challenge === undefined) return response;
  // Another request may have got a token while this one was refused without it.
  const since = await authenticator.known(scope);
  const answer = since === sent ? await authenticator.answer(challenge, scope, options) : since;
  if (answer === undefined) return response;
  response.discard();
  return send(answer);
}
