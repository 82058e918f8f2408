import type { AbortOptions, Clock } from "../base/index.js";
import type { Reference } from "../oci/index.js";
import { type CredentialSource, createTokenCache } from "./authenticator.js";
import { defaultHostOptions, type HostOptions, type HostSource } from "./host.js";
import type { Authorities, ProxyOptions } from "./http.js";
import { createInsecureClient } from "./insecure-client.js";
import { createLocalClient } from "./local-client.js";
import { createMirrored } from "./mirrors.js";
import { ping } from "./ping.js";
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from "./registry-client.js";
import { createRepository, type Repository } from "./repository.js";

/** Every registry, by distribution's protocol (distribution-spec). Disposing of it closes its connections. */
export interface Registry extends AsyncDisposable {
  /**
   * The repository that REFERENCE names, read by way of its mirrors. Nothing is sent before it is asked for something. Errors: `invalid`
   * for malformed configuration.
   */
  repository(reference: Reference, options?: RepositoryOptions): Repository;
  /** Whether REGISTRY (`docker.io`) lets us in. Errors: `denied`, `not-found` if it is no registry, `unavailable`, `canceled`. */
  ping(registry: string, options?: AbortOptions): Promise<void>;
}

export interface RepositoryOptions {
  /** Trust any certificate, and speak in the clear where the server doesn't speak TLS. */
  readonly insecure?: boolean;
  /** Read from the registry itself, not from its mirrors: what was read is to be written again. */
  readonly direct?: boolean;
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly credentials?: CredentialSource | undefined;
  /** How registries are reached. Those it says nothing about are plain HTTP on this machine, else HTTPS. */
  readonly hosts?: HostSource | undefined;
  readonly proxy?: ProxyOptions | undefined;
  /** The certificate authorities trusted everywhere; default: those that Node knows. */
  readonly authorities?: Authorities | undefined;
  /** Until a download of which nothing arrives any more is taken up anew. Default: half a minute. Milliseconds. */
  readonly stallMs?: number | undefined;
  /** Pauses before each further try, in milliseconds; their number is that of the further tries. */
  readonly retryDelaysMs?: readonly number[] | undefined;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { hosts, ...shared } = options;
  const tokens = createTokenCache();
  const clients = new Map<string, RegistryClient>();
  const clientOf = (registry: string, wanted: Wanted = {}): RegistryClient => {
    const key = JSON.stringify([registry, wanted]);
    const client = clients.get(key) ?? createClient({ ...shared, registry, tokens }, wanted, hosts?.get(registry));
    clients.set(key, client);
    return client;
  };
  const mirrorOf = (mirror: string, { registry, repository }: Reference): Repository => {
    const [host = "", ...path] = mirror.replace(/\/+$/, "").split("/");
    const place = { registry: host, repository: [...path, repository].join("/") };
    return createRepository(clientOf(host, { mirrorOf: registry }), place);
  };
  return {
    repository(reference, { insecure = false, direct = false } = {}) {
      const origin = createRepository(clientOf(reference.registry, insecure ? { insecure } : {}), reference);
      const mirrors = direct ? [] : (hosts?.mirrors?.(reference.registry) ?? []);
      return createMirrored(
        origin,
        mirrors.map((mirror) => mirrorOf(mirror, reference)),
      );
    },
    ping: (registry, abort) => ping(clientOf(registry), registry, abort),
    async [Symbol.asyncDispose]() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}

/** What a client is for. */
interface Wanted {
  readonly insecure?: boolean;
  /** The registry that it stands for. */
  readonly mirrorOf?: string;
}

function createClient(
  options: Omit<RegistryClientOptions, "host">,
  { insecure, mirrorOf }: Wanted,
  configured: HostOptions | undefined,
): RegistryClient {
  const { registry } = options;
  const usual = configured ?? defaultHostOptions(registry);
  const host: HostOptions = insecure && usual.scheme !== "http" ? { ...usual, scheme: "insecure" } : usual;
  // Who stands in for another registry isn't waited for: that one is there, too.
  const wanted = { ...options, host, ...(mirrorOf === undefined ? {} : { mirrorOf, retryDelaysMs: [] }) };
  if (host.scheme === "insecure") return createInsecureClient(wanted, createRegistryClient);
  const isLocal = configured === undefined && host.scheme === "http";
  return isLocal ? createLocalClient(wanted, createRegistryClient) : createRegistryClient(wanted);
}
