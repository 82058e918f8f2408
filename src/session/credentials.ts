import { Buffer } from "node:buffer";
import { type AbortOptions, EngineError, unreachable } from "../base/index.js";
import { type CredentialHelper, credentialHelper, type HelperSurroundings } from "./credential-helper.js";
import {
  type DockerConfig,
  objectOf,
  parseDockerConfig,
  readDockerConfig,
  writeDockerConfig,
} from "./docker-config.js";

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

/** Credentials as docker keeps them. */
export interface CredentialStore extends Credentials {
  /** Keeps CREDENTIAL for HOST; says where. */
  store(host: string, credential: Credential, options?: AbortOptions): Promise<StoredIn>;
  /** Forgets what is kept for HOST; false if nothing was. */
  erase(host: string, options?: AbortOptions): Promise<boolean>;
}

/** A file, readable to whoever reads the disk, or a helper that keeps secrets. */
export type StoredIn = { readonly kind: "file"; readonly path: string } | { readonly kind: "helper" };

export interface DockerCredentialsOptions {
  /** Docker's config.json, which need not exist. */
  readonly configFile: string;
  /** Other files of the same form (podman's auth.json), which are only read. */
  readonly furtherFiles?: readonly string[];
  /** The text of such a document (DOCKER_AUTH_CONFIG), which goes before all files. */
  readonly authConfig?: string | undefined;
  /** For helpers. */
  readonly surroundings: HelperSurroundings;
}

/**
 * The credentials that docker's `config.json` holds (`auths`) or names a helper for (`credHelpers`, `credsStore`). Files are read when
 * something is asked, so that who has logged in meanwhile is known. Errors: `invalid` for a malformed file, `unavailable` if a
 * helper is missing or fails, `canceled`.
 */
export function dockerCredentials(options: DockerCredentialsOptions): CredentialStore {
  const { configFile, furtherFiles = [], authConfig, surroundings } = options;
  const helperOf = (config: DockerConfig, host: string): CredentialHelper | undefined => {
    const name = helperName(config, host);
    return name === undefined ? undefined : credentialHelper(name, surroundings);
  };
  return {
    async get(host, abort) {
      const given = authConfig
        ? inFile(parseDockerConfig(authConfig, "DOCKER_AUTH_CONFIG"), host, "DOCKER_AUTH_CONFIG")
        : undefined;
      if (given !== undefined) return given;
      for (const file of [configFile, ...furtherFiles]) {
        const config = await readDockerConfig(file);
        const found = (await helperOf(config, host)?.get(serverOf(host), abort)) ?? inFile(config, host, file);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    async store(host, credential, abort) {
      const config = await readDockerConfig(configFile);
      const helper = helperOf(config, host);
      await helper?.store(serverOf(host), credential, abort);
      const entry = helper === undefined ? entryOf(credential) : {};
      const auths = { ...without(objectOf(config.auths), host), [serverOf(host)]: entry };
      writeDockerConfig(configFile, { ...config, auths });
      return helper === undefined ? { kind: "file", path: configFile } : { kind: "helper" };
    },
    async erase(host, abort) {
      const config = await readDockerConfig(configFile);
      const helper = helperOf(config, host);
      const wasKept = (await helper?.get(serverOf(host), abort)) !== undefined;
      if (wasKept) await helper?.erase(serverOf(host), abort);
      const auths = without(objectOf(config.auths), host);
      const wasNoted = Object.keys(auths).length < Object.keys(objectOf(config.auths)).length;
      if (wasNoted) writeDockerConfig(configFile, { ...config, auths });
      return wasKept || wasNoted;
    },
  };
}

/** How docker spells Docker Hub. */
const DOCKER_HUB = "docker.io";
const DOCKER_HUB_SERVER = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS: ReadonlySet<string> = new Set([DOCKER_HUB, "index.docker.io", "registry-1.docker.io"]);

/** The name by which docker knows HOST. */
function serverOf(host: string): string {
  return host === DOCKER_HUB ? DOCKER_HUB_SERVER : host;
}

function helperName(config: DockerConfig, host: string): string | undefined {
  const helpers = Object.entries(objectOf(config.credHelpers));
  const own = helpers.find(([key]) => key === serverOf(host)) ?? helpers.find(([key]) => isOf(key, host));
  const name = own?.[1] ?? config.credsStore;
  return isText(name) ? name : undefined;
}

/** What the file itself holds; a key that is just the server goes before one with a path. */
function inFile(config: DockerConfig, host: string, origin: string): Credential | undefined {
  const auths = Object.entries(objectOf(config.auths));
  const exact = auths.filter(([key]) => key === serverOf(host));
  for (const [key, entry] of [...exact, ...auths.filter(([key]) => isOf(key, host))]) {
    const credential = credentialOf(objectOf(entry), `reading credentials from ${origin}: ${key}`);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

function without(auths: Readonly<Record<string, unknown>>, host: string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(auths).filter(([key]) => !isOf(key, host)));
}

/** `https://registry.example/v1/` and `registry.example` are one key. */
function isOf(key: string, host: string): boolean {
  const named = key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return named === host || (host === DOCKER_HUB && DOCKER_HUB_HOSTS.has(named));
}

/** Throws `invalid` for what is no credential; its text is a secret. */
function credentialOf(entry: Readonly<Record<string, unknown>>, what: string): Credential | undefined {
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (isText(identitytoken)) return { kind: "identity-token", token: identitytoken };
  if (isText(registrytoken)) return { kind: "registry-token", token: registrytoken };
  if (isText(username) && isText(password)) return { kind: "password", username, password };
  if (!isText(auth)) return undefined;
  const decoded = Buffer.from(auth, "base64").toString();
  const colon = decoded.indexOf(":");
  if (colon < 1) throw new EngineError("invalid", `${what}: "auth" is not USER:PASSWORD in base64`);
  return {
    kind: "password",
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ""),
  };
}

function entryOf(credential: Credential): Readonly<Record<string, string>> {
  switch (credential.kind) {
    case "password":
      return { auth: Buffer.from(`${credential.username}:${credential.password}`).toString("base64") };
    case "identity-token":
      return { identitytoken: credential.token };
    case "registry-token":
      return { registrytoken: credential.token };
    default:
      return unreachable(credential);
  }
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
