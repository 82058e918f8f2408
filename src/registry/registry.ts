import type { Clock } from "../base/index.js";
import type { Reference } from "../oci/index.js";
import { type CredentialSource, createTokenCache } from "./authenticator.js";
import { defaultHostOptions, type HostOptions } from "./host.js";
import type { ProxyOptions } from "./http.js";
import { createLocalClient } from "./local-client.js";
import { createRegistryClient, type RegistryClient } from "./registry-client.js";
import { createRepository, type Repository } from "./repository.js";

/** Every registry, by distribution's protocol (distribution-spec). Disposing of it closes its connections. */
export interface Registry extends AsyncDisposable {
  /** The repository that REFERENCE names. Nothing is sent before it is asked for something. */
  repository(reference: Reference): Repository;
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly credentials?: CredentialSource | undefined;
  /** By the registry's name in references: `localhost:5000`. Others are plain HTTP on this machine, else HTTPS. */
  readonly hosts?: ReadonlyMap<string, HostOptions> | undefined;
  readonly proxy?: ProxyOptions | undefined;
  /** Pauses before each further try, in milliseconds; their number is that of the further tries. */
  readonly retryDelaysMs?: readonly number[] | undefined;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { hosts, ...shared } = options;
  const tokens = createTokenCache();
  const clients = new Map<string, RegistryClient>();
  const clientOf = (registry: string): RegistryClient => {
    const known = clients.get(registry);
    if (known !== undefined) return known;
    const configured = hosts?.get(registry);
    const host = configured ?? defaultHostOptions(registry);
    const wanted = { ...shared, registry, host, tokens };
    const isLocal = configured === undefined && host.scheme === "http";
    const client = isLocal ? createLocalClient(wanted, createRegistryClient) : createRegistryClient(wanted);
    clients.set(registry, client);
    return client;
  };
  return {
    repository: (reference) => createRepository(clientOf(reference.registry), reference),
    async [Symbol.asyncDispose]() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}
