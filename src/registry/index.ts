export type { CredentialSource, RegistryCredential } from "./authenticator.js";
export type { HostOptions } from "./host.js";
export type { ProxyOptions } from "./http.js";
export { createRegistry, type Registry, type RegistryOptions } from "./registry.js";
export type { Repository } from "./repository.js";
