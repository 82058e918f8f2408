import os from "node:os";
import path from "node:path";
import { type AbortOptions, type Clock, EngineError, errorCode, messageOf, systemClock } from "../base/index.js";
import { createRegistry, hostsOfFiles, type Registry, type RegistryOptions } from "../registry/index.js";
import { type Credential, type CredentialStore, dockerCredentials, type StoredIn } from "../session/index.js";
import { trustedAuthorities } from "../sources/index.js";
import { proxyOf } from "./network-sources.js";
import type { EngineOptions } from "./request.js";

type Surroundings = Pick<EngineOptions, "env" | "dockerConfig">;

/** Registries, reached as the machine, its user and the environment say, with the user's credentials. The caller disposes of it. */
export function openRegistry(surroundings: Surroundings, clock: Clock): Registry {
  return createRegistry({ clock, credentials: openCredentials(surroundings), ...networkOf(surroundings) });
}

/** Who wants to be let in where. */
export interface LoginRequest extends AbortOptions {
  /** The registry's name in references: `docker.io`. */
  readonly registry: string;
  /** Default: the credential that is kept. */
  readonly credential?: Credential;
}

/**
 * Asks a registry whether it takes a credential, and keeps it as docker does if so; says where. Errors: `denied` if the registry refuses
 * it, `not-found` if none was given and none is kept, `unavailable`, `canceled`, `invalid` for malformed configuration.
 */
export async function login(request: LoginRequest, surroundings: Surroundings): Promise<StoredIn | undefined> {
  const { registry, signal } = request;
  const store = openCredentials(surroundings);
  const credential = request.credential ?? (await store.get(registry, { signal }));
  if (credential === undefined) throw new EngineError("not-found", `no credentials are kept for ${registry}`);
  const credentials = { get: async (host: string) => (host === registry ? credential : undefined) };
  await using registries = createRegistry({ clock: systemClock, credentials, ...networkOf(surroundings) });
  try {
    await registries.ping(registry, { signal });
  } catch (cause) {
    if (errorCode(cause) !== "denied") throw cause;
    throw new EngineError("denied", `${registry} refuses these credentials: ${messageOf(cause)}`, { cause });
  }
  return request.credential && store.store(registry, credential, { signal });
}

/** Forgets the credential that is kept for a registry; false if there was none. Errors as of `login`. */
export function logout({ registry, signal }: LoginRequest, surroundings: Surroundings): Promise<boolean> {
  return openCredentials(surroundings).erase(registry, { signal });
}

function openCredentials({ env = {}, dockerConfig }: Surroundings): CredentialStore {
  const home = env.HOME ?? os.homedir();
  return dockerCredentials({
    configFile: dockerConfig ?? path.join(env.DOCKER_CONFIG || path.join(home, ".docker"), "config.json"),
    furtherFiles: [
      ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
      ...(env.XDG_RUNTIME_DIR ? [path.join(env.XDG_RUNTIME_DIR, "containers/auth.json")] : []),
      path.join(configHome(env), "containers/auth.json"),
    ],
    authConfig: env.DOCKER_AUTH_CONFIG,
    surroundings: { searchPath: env.PATH ?? "", env },
  });
}

function networkOf({ env = {} }: Surroundings): Pick<RegistryOptions, "hosts" | "proxy" | "authorities"> {
  return {
    hosts: hostsOfFiles(hostFiles(env)),
    proxy: proxyOf(env),
    authorities: () => trustedAuthorities({ file: env.SSL_CERT_FILE, extraFile: env.NODE_EXTRA_CA_CERTS }),
  };
}

function hostFiles(env: NonNullable<EngineOptions["env"]>): Parameters<typeof hostsOfFiles>[0] {
  const own = configHome(env);
  return {
    configFiles: env.ASHLAR_REGISTRIES
      ? [env.ASHLAR_REGISTRIES]
      : [path.join(own, "ashlar/registries.toml"), "/etc/ashlar/registries.toml"],
    mustExist: Boolean(env.ASHLAR_REGISTRIES),
    certificateDirectories: [
      path.join(own, "docker/certs.d"),
      path.join(own, "containers/certs.d"),
      "/etc/docker/certs.d",
      "/etc/containers/certs.d",
    ],
  };
}

function configHome(env: NonNullable<EngineOptions["env"]>): string {
  return env.XDG_CONFIG_HOME || path.join(env.HOME ?? os.homedir(), ".config");
}
