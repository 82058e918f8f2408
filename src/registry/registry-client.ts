import { type AbortOptions, type Clock, createLimiter, type Limiter } from "../base/index.js";
import { type Authenticator, type CredentialSource, createAuthenticator, type TokenCache } from "./authenticator.js";
import { statusError } from "./errors.js";
import { baseUrl, type HostOptions } from "./host.js";
import {
  type Authorities,
  createHttpClient,
  type HttpRequest,
  type HttpResponse,
  type ProxyOptions,
  type RequestBody,
} from "./http.js";
import { RETRY_DELAYS_MS } from "./retries.js";

/** Requests to one registry's API: authorized, and so many at a time. */
export interface RegistryClient {
  /**
   * Sends REQUEST and gives the answer whatever its status, but for 401, 408, 429 and 5xx, which are thrown; the last three as
   * TransientError. The caller reads or discards the body.
   */
  send(request: RegistryRequest, options?: AbortOptions): Promise<HttpResponse>;
  /** Waits for one of the connections for WORK, which holds it until it ends. */
  connected(kind: Connection): Limiter;
  /** The pauses to make before further tries. */
  readonly retryDelaysMs: readonly number[];
  close(): Promise<void>;
}

/** What connections are shared for. An upload may read from the same registry meanwhile, and must not wait for its own kind. */
export type Connection = "document" | "blob" | "upload";

export interface RegistryRequest {
  readonly method: HttpRequest["method"];
  /**
   * Relative to the API's base (`library/alpine/manifests/3`), or a whole address that the registry gave. Elsewhere than at the registry
   * there is no authorization.
   */
  readonly path: string;
  /** Undefined for what concerns no repository. */
  readonly scope: Scope | undefined;
  readonly body?: RequestBody;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is being done, for errors: `resolving docker.io/library/alpine:3`. */
  readonly what: string;
}

/** What a request needs the right to. */
export interface Scope {
  readonly repository: string;
  readonly access: "pull" | "push";
  /** Another repository to read from. */
  readonly from?: string | undefined;
}

export interface RegistryClientOptions {
  readonly registry: string;
  readonly host: HostOptions;
  /** The registry that this one stands for: it is told so (`ns`), as it may stand for several. */
  readonly mirrorOf?: string | undefined;
  readonly tokens: TokenCache;
  readonly clock: Clock;
  readonly credentials?: CredentialSource | undefined;
  readonly proxy?: ProxyOptions | undefined;
  readonly authorities?: Authorities | undefined;
  readonly stallMs?: number | undefined;
  readonly retryDelaysMs?: readonly number[] | undefined;
}

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { registry, host, mirrorOf, tokens, clock, credentials, proxy, retryDelaysMs = RETRY_DELAYS_MS } = options;
  const base = baseUrl(registry, host);
  const http = createHttpClient(host, { proxy, authorities: options.authorities, stallMs: options.stallMs });
  const authenticator = createAuthenticator({ registry, protocol: base.protocol, http, credentials, tokens, clock });
  const limiters: Readonly<Record<Connection, Limiter>> = {
    document: createLimiter(DOCUMENT_CONNECTIONS_MAX),
    blob: createLimiter(BLOB_CONNECTIONS_MAX),
    upload: createLimiter(UPLOAD_CONNECTIONS_MAX),
  };
  const send = async (request: RegistryRequest, abort: AbortOptions = {}): Promise<HttpResponse> => {
    const url = new URL(request.path, base);
    if (mirrorOf !== undefined) url.searchParams.set("ns", mirrorOf);
    const { method, body, what } = request;
    const sendAs = (authorization: string | undefined): Promise<HttpResponse> => {
      const headers = { "user-agent": "ashlar", "accept-encoding": "identity", ...request.headers };
      return http.send({
        method,
        url,
        body,
        what,
        headers: authorization ? { ...headers, authorization } : headers,
        ...abort,
      });
    };
    const scope = request.scope === undefined ? "" : scopeText(request.scope);
    const response = await (url.origin === base.origin
      ? authorized(sendAs, authenticator, { scope, origin: base.origin }, abort)
      : sendAs(undefined));
    const { status } = response;
    if (status === 401 || status === 408 || status === 429 || status >= 500)
      throw await statusError(response, request.what, request.scope?.access);
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
const UPLOAD_CONNECTIONS_MAX = 4;

/** As token servers know it (distribution, token scopes): `repository:library/alpine:pull`. */
function scopeText({ repository, access, from }: Scope): string {
  const own = `repository:${repository}:${access === "push" ? "pull,push" : "pull"}`;
  return from === undefined ? own : `${own} repository:${from}:pull`;
}

/** Sends with what authorized us before; once more, if that wasn't enough, with what the registry asks for. */
async function authorized(
  send: (authorization: string | undefined) => Promise<HttpResponse>,
  authenticator: Authenticator,
  { scope, origin }: { readonly scope: string; readonly origin: string },
  options: AbortOptions,
): Promise<HttpResponse> {
  const sent = await authenticator.known(scope);
  const response = await send(sent);
  // Where a redirect led is not who the credential is for.
  const isAsked = response.status === 401 && response.url.origin === origin;
  const challenge = isAsked ? response.header("www-authenticate") : undefined;
  if (challenge === undefined) return response;
  // Another request may have got a token while this one was refused without it.
  const since = await authenticator.known(scope);
  const answer = since === sent ? await authenticator.answer(challenge, scope, options) : since;
  if (answer === undefined) return response;
  response.discard();
  return send(answer);
}
