import { type AbortOptions, EngineError } from "../base/index.js";
import type { Schema1Image } from "../oci/index.js";
import { statusError } from "./errors.js";
import type { HttpResponse } from "./http.js";
import type { RegistryClient, RegistryRequest } from "./registry-client.js";
import { retrying } from "./retries.js";

/** A name stands for an image in the form of Docker's schema 1, which must be converted before anything can be done with it. */
export class Schema1Error extends EngineError {
  readonly image: Schema1Image;

  constructor(what: string, image: Schema1Image) {
    super(
      "unsupported",
      `${what}: Docker schema 1 manifests are not supported here: push the image again with a current tool`,
    );
    this.image = image;
  }
}

/** The bytes of a blob that no manifest describes. Errors: `not-found`, `denied`, `unavailable`, `failed`. */
export async function blobSize(
  client: RegistryClient,
  request: Omit<RegistryRequest, "method">,
  options: AbortOptions,
): Promise<number> {
  return retrying(
    async () => {
      const response = await client.send({ ...request, method: "HEAD" }, options);
      if (response.status !== 200) throw await statusError(response, request.what);
      response.discard();
      return lengthOf(response) ?? countBytes(client, request, options);
    },
    client.retryDelaysMs,
    options,
  );
}

/** By GET, for registries that don't tell it otherwise: most do before the first byte. */
async function countBytes(
  client: RegistryClient,
  request: Omit<RegistryRequest, "method">,
  options: AbortOptions,
): Promise<number> {
  const response = await client.send({ ...request, method: "GET" }, options);
  if (response.status !== 200) throw await statusError(response, request.what);
  const length = lengthOf(response);
  if (length !== undefined) {
    response.discard();
    return length;
  }
  let size = 0;
  for await (const chunk of response.body) size += chunk.length;
  return size;
}

function lengthOf(response: HttpResponse): number | undefined {
  const length = response.header("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
