import { ConnectionError } from "./errors.js";
import type { RegistryClient, RegistryClientOptions } from "./registry-client.js";

/** Makes a client. */
type Create = (options: RegistryClientOptions) => RegistryClient;

/**
 * A client for a registry that its user trusts however it speaks: by TLS with any certificate, and in the clear where the server doesn't
 * speak TLS. What the first request finds out counts for all.
 */
export function createInsecureClient(options: RegistryClientOptions, create: Create): RegistryClient {
  const { host } = options;
  const secure = create({ ...options, host: { ...host, scheme: "https", verify: false } });
  const plain = create({ ...options, host: { scheme: "http" } });
  let chosen: RegistryClient | undefined;
  const choose = async <T>(client: RegistryClient, answer: Promise<T>): Promise<T> => {
    const value = await answer;
    chosen = client;
    return value;
  };
  return {
    async send(request, abort) {
      if (chosen !== undefined) return chosen.send(request, abort);
      try {
        return await choose(secure, secure.send(request, abort));
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        return choose(plain, plain.send(request, abort));
      }
    },
    connected: (kind) => secure.connected(kind),
    retryDelaysMs: secure.retryDelaysMs,
    async close() {
      await Promise.all([plain.close(), secure.close()]);
    },
  };
}
