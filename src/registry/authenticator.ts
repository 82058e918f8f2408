import type { LRUCache } from "lru-cache";
import * as v from "valibot";
import { type AbortOptions, type Clock, EngineError, Flight, lazy, unreachable } from "../base/index.js";
import { parseDocument } from "../oci/index.js";
import { type Challenge, parseChallenges } from "./challenge.js";
import { statusError } from "./errors.js";
import { type HttpClient, type HttpRequest, type HttpResponse, shownOrigin } from "./http.js";

/** Who we are to a registry, as the caller of a build knows it. */
export interface CredentialSource {
  get(host: string, options?: AbortOptions): Promise<RegistryCredential | undefined>;
}

export type RegistryCredential =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "identity-token"; readonly token: string }
  | { readonly kind: "registry-token"; readonly token: string };

/** Finds the Authorization header for the requests to one registry. */
export interface Authenticator {
  /** The header that worked last for SCOPE and has not expired. */
  known(scope: string): Promise<string | undefined>;
  /**
   * The header that a 401's `WWW-Authenticate` asks for; undefined if there is nothing (or nothing new) to answer with. Errors:
   * `denied` if the token server refuses.
   */
  answer(wwwAuthenticate: string, scope: string, options?: AbortOptions): Promise<string | undefined>;
}

export interface AuthenticatorOptions {
  readonly registry: string;
  /** Where the registry is: its token server may not be in the clear if it isn't. */
  readonly protocol: string;
  readonly http: HttpClient;
  readonly credentials: CredentialSource | undefined;
  readonly tokens: TokenCache;
  readonly clock: Clock;
}

/** Authorization headers by registry and scope, with the time (milliseconds since the epoch) they are good until. */
export type TokenCache = () => Promise<LRUCache<string, KnownToken>>;

interface KnownToken {
  readonly header: string;
  readonly goodUntil: number;
}

export function createTokenCache(): TokenCache {
  return lazy(async () => new (await import("lru-cache")).LRUCache<string, KnownToken>({ max: TOKENS_MAX }));
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { registry, tokens, clock } = options;
  const flight = new Flight<string, string | undefined>();
  const silent = new Set<string>();
  const keyOf = (scope: string): string => `${registry} ${scope}`;
  const known = async (scope: string): Promise<string | undefined> => {
    const token = (await tokens()).get(keyOf(scope));
    return token !== undefined && token.goodUntil > clock.now() ? token.header : undefined;
  };
  return {
    known,
    async answer(wwwAuthenticate, scope, { signal } = {}) {
      const challenges = parseChallenges(wwwAuthenticate);
      const challenge = challenges.find(({ scheme }) => scheme === "bearer") ?? challenges[0];
      if (challenge === undefined) return undefined;
      // The token that was refused may be an old one, but a fresh one without the rights won't get them by asking again.
      if (
        challenge.scheme === "bearer" &&
        challenge.error === "insufficient_scope" &&
        (await known(scope)) !== undefined
      )
        return undefined;
      const ask = async (shared: AbortSignal): Promise<string | undefined> => {
        const token = await answerTo(challenge, scope, { ...options, silent }, shared);
        if (token !== undefined)
          (await tokens()).set(keyOf(scope), { header: token.header, goodUntil: clock.now() + token.goodForMs });
        return token?.header;
      };
      return flight.do(`${scope} ${JSON.stringify(challenge)}`, ask, { signal });
    },
  };
}

/** Tokens kept. */
const TOKENS_MAX = 1000;
/** Bytes of a token server's answer. */
const TOKEN_BYTES_MAX = 1024 * 1024;
/** How long a token is good if its server doesn't say, and the part of its life in which we use it. */
const TOKEN_SECONDS_DEFAULT = 60;
const TOKEN_LIFE_USED = 0.9;
const CLIENT_ID = "ashlar";

/** What answers a challenge. */
interface Answering extends AuthenticatorOptions {
  /** Realms that know nothing of distribution's OAuth 2. */
  readonly silent: Set<string>;
}

interface Token {
  readonly header: string;
  readonly goodForMs: number;
}

async function answerTo(
  challenge: Challenge,
  scope: string,
  options: Answering,
  signal: AbortSignal,
): Promise<Token | undefined> {
  const credential = await options.credentials?.get(options.registry, { signal });
  switch (challenge.scheme) {
    case "basic":
      if (credential?.kind !== "password") return undefined;
      return { header: basic(credential), goodForMs: Number.POSITIVE_INFINITY };
    case "bearer": {
      if (credential?.kind === "registry-token")
        return { header: `Bearer ${credential.token}`, goodForMs: Number.POSITIVE_INFINITY };
      const scopes = mergedScopes(`${scope} ${challenge.scope ?? ""}`);
      return firstToken(tokenRequests(challenge, scopes, credential, options), options, signal);
    }
    default:
      return unreachable(challenge);
  }
}

/** One scope per resource, with all that is to be done with it. */
function mergedScopes(text: string): readonly string[] {
  const actions = new Map<string, Set<string>>();
  for (const scope of text.split(" ").filter((one) => one !== "")) {
    const colon = scope.lastIndexOf(":");
    const resource = scope.slice(0, Math.max(colon, 0));
    const known = actions.get(resource) ?? new Set();
    for (const action of scope.slice(colon + 1).split(",")) known.add(action);
    actions.set(resource, known);
  }
  return [...actions].map(([resource, known]) =>
    resource === "" ? [...known].join(" ") : `${resource}:${[...known].join(",")}`,
  );
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

type Pair = [name: string, value: string];

type TokenRequest = Omit<HttpRequest, "signal">;

/**
 * The ways to ask for a token: by OAuth 2 (a POST) for those who have a secret, then, for servers that don't know that, by distribution's
 * own token authentication (a GET), which is also for everybody.
 */
function tokenRequests(
  challenge: Challenge & { readonly scheme: "bearer" },
  scopes: readonly string[],
  credential: Exclude<RegistryCredential, { kind: "registry-token" }> | undefined,
  { registry, protocol }: AuthenticatorOptions,
): readonly TokenRequest[] {
  const url = URL.canParse(challenge.realm) ? new URL(challenge.realm) : undefined;
  if (url === undefined || !(url.protocol === "https:" || (url.protocol === "http:" && protocol === "http:"))) {
    throw new EngineError("denied", `${registry}: refusing to ask ${shownOrigin(url)} for a token`);
  }
  const service: Pair[] = challenge.service === undefined ? [] : [["service", challenge.service]];
  const posted = new URL(url);
  for (const [name, value] of [...service, ...scopes.map((scope): Pair => ["scope", scope])])
    url.searchParams.append(name, value);
  const get = (headers: HttpRequest["headers"]): TokenRequest => ({ method: "GET", url, headers });
  if (credential === undefined) return [get({})];
  const form: Pair[] = [...grantOf(credential), ...service, ["client_id", CLIENT_ID], ["scope", scopes.join(" ")]];
  const post: TokenRequest = {
    method: "POST",
    url: posted,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: { kind: "secret", text: new URLSearchParams(form).toString() },
  };
  const who = credential.kind === "password" ? credential : { username: "", password: credential.token };
  return [post, get({ authorization: basic(who) })];
}

function grantOf(credential: Exclude<RegistryCredential, { kind: "registry-token" }>): readonly Pair[] {
  switch (credential.kind) {
    case "password":
      return [
        ["grant_type", "password"],
        ["username", credential.username],
        ["password", credential.password],
      ];
    case "identity-token":
      return [
        ["grant_type", "refresh_token"],
        ["refresh_token", credential.token],
      ];
    default:
      return unreachable(credential);
  }
}

/** What servers say that know no POST, or not with these: by what they do, for there is no rule. */
const POST_REFUSALS: ReadonlySet<number> = new Set([400, 401, 404, 405]);

async function firstToken(
  [request, ...others]: readonly TokenRequest[],
  options: Answering,
  signal: AbortSignal,
): Promise<Token> {
  if (request === undefined) throw new EngineError("internal", "there is no way to ask for a token");
  const realm = request.url.origin + request.url.pathname;
  const isLast = others.length === 0;
  if (!isLast && options.silent.has(realm)) return firstToken(others, options, signal);
  const response = await options.http.send({ ...request, signal });
  if (isLast || !POST_REFUSALS.has(response.status)) return tokenOf(request, response, options);
  response.discard();
  const token = await firstToken(others, options, signal);
  options.silent.add(realm);
  return token;
}

const tokenSchema = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.nullish(v.number()),
});

async function tokenOf(
  request: TokenRequest,
  response: HttpResponse,
  { registry }: AuthenticatorOptions,
): Promise<Token> {
  const kind = request.method === "POST" || request.headers.authorization !== undefined ? "oauth" : "anonymous";
  if (response.status !== 200) {
    const error = await statusError(response, `${registry}: failed to authorize: failed to fetch ${kind} token`);
    if (response.status !== 401) throw error;
    const shown = `unexpected status from ${request.method} request to ${request.url.origin}${request.url.pathname}: 401`;
    throw new EngineError("denied", `${registry}: failed to authorize: failed to fetch ${kind} token: ${shown}`, {
      cause: error,
    });
  }
  const answer = parseDocument(
    `the token of ${registry}`,
    tokenSchema,
    Buffer.from(await response.text(TOKEN_BYTES_MAX)),
  );
  const token = answer.token || answer.access_token;
  if (!token || !/^[\x21-\x7e]+$/.test(token))
    throw new EngineError("denied", `${registry}: the token server gave no token`);
  const seconds = answer.expires_in && answer.expires_in > 0 ? answer.expires_in : TOKEN_SECONDS_DEFAULT;
  return { header: `Bearer ${token}`, goodForMs: seconds * 1000 * TOKEN_LIFE_USED };
}
