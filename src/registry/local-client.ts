import type { RegistryClient, RegistryClientOptions } from "./registry-client.js";

/** Makes a client. */
type Create = (options: RegistryClientOptions) => RegistryClient;

/** What a TLS server answers to a plain request. */
const BAD_REQUEST = 400;

/**
 * A client for a registry of this machine that nobody configured: plain HTTP, as is usual there, until it turns out that the server
 * wants TLS; its certificate must then be one that this machine trusts.
 */
export function createLocalClient(options: RegistryClientOptions, create: Create): RegistryClient {
  const plain = create({ ...options, host: { scheme: "http" } });
  const secure = create({ ...options, host: { scheme: "https" } });
  let chosen: RegistryClient | undefined;
  return {
    async send(request, abort) {
      if (chosen) return chosen.send(request, abort);
      const response = await plain.send(request, abort);
      if (response.status !== BAD_REQUEST) {
        chosen = plain;
        return response;
      }
      response.discard();
      const answer = await secure.send(request, abort);
      chosen = secure;
      return answer;
    },
    connected: (kind) => plain.connected(kind),
    retryDelaysMs: plain.retryDelaysMs,
    async close() {
      await Promise.all([plain.close(), secure.close()]);
    },
  };
}
