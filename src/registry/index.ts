export type { CredentialSource, RegistryCredential } from "./authenticator.js";
export { retryAfter, TransientError } from "./errors.js";
export type { HostOptions } from "./host.js";
export { createHttpClient, type HttpClient, type HttpResponse, type ProxyOptions } from "./http.js";
export { createRegistry, type Registry, type RegistryOptions } from "./registry.js";
export type { Repository } from "./repository.js";
export { RETRY_DELAYS_MS, retrying } from "./retries.js";
