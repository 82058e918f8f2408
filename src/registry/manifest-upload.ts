import { type AbortOptions, type Digest, EngineError } from "../base/index.js";
import type { Descriptor } from "../oci/index.js";
import { statusError } from "./errors.js";
import type { RegistryClient, RegistryRequest } from "./registry-client.js";
import { retrying } from "./retries.js";

/** A manifest or an index on its way to a repository. */
export interface ManifestUpload {
  readonly client: RegistryClient;
  /** `library/alpine`. */
  readonly repository: string;
  readonly document: Descriptor;
  readonly bytes: Uint8Array;
  /** The tag or digest that it gets. */
  readonly name: string;
  /** What is being done, for errors. */
  readonly what: string;
}

/**
 * Sees to it that the name stands for the document (distribution-spec, Pushing Manifests). A name that does so already is left alone,
 * since it may be one that can't be written again. Errors: `denied`, `unavailable`, `failed`, `data-loss`, `canceled`.
 */
export function uploadManifest(upload: ManifestUpload, options: AbortOptions): Promise<"present" | "uploaded"> {
  const { client } = upload;
  return client
    .connected("document")
    .run(() => retrying(() => put(upload, options), client.retryDelaysMs, options), options);
}

async function put(upload: ManifestUpload, options: AbortOptions): Promise<"present" | "uploaded"> {
  const { client, repository, document, bytes, name, what } = upload;
  const path = `${repository}/manifests/${name}`;
  const request: Omit<RegistryRequest, "method"> = { path, scope: { repository, access: "push" }, what };
  const accept = { accept: `${document.mediaType}, */*` };
  const head = await client.send({ ...request, method: "HEAD", headers: accept }, options);
  head.discard();
  if (head.status === 200 && head.header("docker-content-digest") === document.digest) return "present";
  // One that knows no HEAD is sent the document.
  if (![200, 404, 405].includes(head.status)) throw await statusError(head, what, "push");
  const body = { kind: "content", sizeBytes: bytes.length, open: () => once(bytes) } as const;
  const headers = { "content-type": document.mediaType };
  const response = await client.send({ ...request, method: "PUT", headers, body }, options);
  if (![200, 201, 202, 204].includes(response.status)) throw await statusError(response, what, "push");
  response.discard();
  checkStored(document.digest, response.header("docker-content-digest"), what);
  return "uploaded";
}

function checkStored(sent: Digest, stored: string | undefined, what: string): void {
  if (stored !== undefined && stored !== sent)
    throw new EngineError("data-loss", `${what}: the registry stored ${stored} for ${sent}`);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
