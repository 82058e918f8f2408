import { type AbortOptions, EngineError } from "../base/index.js";
import { statusError } from "./errors.js";
import type { RegistryClient } from "./registry-client.js";
import { retrying } from "./retries.js";

/** Whether REGISTRY lets us in (distribution-spec, Determining Support). Errors: `denied`, `not-found`, `unavailable`, `canceled`. */
export async function ping(client: RegistryClient, registry: string, options?: AbortOptions): Promise<void> {
  const request = { method: "GET", path: "", scope: undefined, what: `asking ${registry}` } as const;
  const response = await retrying(() => client.send(request, options), client.retryDelaysMs, options);
  if (response.status === 404) {
    response.discard();
    throw new EngineError("not-found", `${registry} is no registry`);
  }
  if (response.status !== 200) throw await statusError(response, request.what);
  response.discard();
}
