export type { CredentialSource, RegistryCredential } from "./authenticator.js";
export { retryAfter, TransientError } from "./errors.js";
export type { HostOptions, HostSource } from "./host.js";
export { type HostFiles, hostsOfFiles } from "./host-files.js";
export { createHttpClient, type HttpClient, type HttpResponse, type ProxyOptions } from "./http.js";
export { type PushOptions, type PushOutcome, type PushProgress, pushImage } from "./push.js";
export { createRegistry, type Registry, type RegistryOptions, type RepositoryOptions } from "./registry.js";
export type { PutBlobOptions, Repository } from "./repository.js";
export { RETRY_DELAYS_MS, retrying } from "./retries.js";
