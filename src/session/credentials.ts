import { Buffer } from "node:buffer";
import { type AbortOptions, EngineError, errorCode, messageOf, readRegularFile } from "../base/index.js";

/** What the caller of a build may say to registries. */
export interface Credentials {
  /** The credential for HOST (`docker.io`, `localhost:5000`), undefined if there is none. */
  get(host: string, options?: AbortOptions): Promise<Credential | undefined>;
}

export type Credential =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** A refresh token, which a token server takes. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** A bearer token, which the registry itself takes. */
  | { readonly kind: "registry-token"; readonly token: string };

/** Bytes of a config.json. */
const CONFIG_BYTES_MAX = 1024 * 1024;
/** How Docker spells Docker Hub. */
const DOCKER_HUB_KEY = "index.docker.io";

/**
 * The credentials in the `auths` of Docker's config.json at PATH, which is read when they are asked for; a file that isn't there holds none.
 * Errors: `invalid` for a malformed file. Credential stores (`credsStore`, `credHelpers`) are not asked.
 */
export function dockerCredentials(path: string): Credentials {
  let auths: Promise<ReadonlyMap<string, Credential>> | undefined;
  return {
    async get(host) {
      auths ??= readAuths(path);
      return (await auths).get(host === "docker.io" ? DOCKER_HUB_KEY : host);
    },
  };
}

async function readAuths(path: string): Promise<ReadonlyMap<string, Credential>> {
  let text: string;
  try {
    text = (await readRegularFile(path, CONFIG_BYTES_MAX)).toString();
  } catch (cause) {
    if (errorCode(cause) === "not-found") return new Map();
    throw new EngineError(errorCode(cause), `reading credentials from ${path}: ${messageOf(cause)}`, { cause });
  }
  const byHost = new Map<string, Credential>();
  for (const [key, entry] of Object.entries(authsOf(text, path))) {
    const credential = credentialOf(entry);
    if (credential !== undefined) byHost.set(hostOf(key), credential);
  }
  return byHost;
}

function authsOf(text: string, path: string): object {
  try {
    const { auths } = (JSON.parse(text) ?? {}) as { auths?: unknown };
    return auths !== null && typeof auths === "object" ? auths : {};
  } catch {
    // The parser's message would quote the file, and with it what is secret.
    throw new EngineError("invalid", `reading credentials from ${path}: no JSON document`);
  }
}

/** `https://registry.example/v1/` and `registry.example` are one key. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function credentialOf(entry: unknown): Credential | undefined {
  const { auth, username, password, identitytoken, registrytoken } = (entry ?? {}) as Record<string, unknown>;
  if (isText(identitytoken)) return { kind: "identity-token", token: identitytoken };
  if (isText(registrytoken)) return { kind: "registry-token", token: registrytoken };
  if (isText(username) && isText(password)) return { kind: "password", username, password };
  if (!isText(auth)) return undefined;
  const decoded = Buffer.from(auth, "base64").toString();
  const colon = decoded.indexOf(":");
  if (colon < 1) return undefined;
  return {
    kind: "password",
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ""),
  };
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
