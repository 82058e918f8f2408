import type { AbortOptions, Digest } from "../base/index.js";
import { type Descriptor, MANIFEST_BYTES_MAX, MediaType, parseManifestOrIndex } from "../oci/index.js";
import { statusError } from "./errors.js";
import type { HttpResponse } from "./http.js";
import { readPages } from "./pages.js";
import type { RegistryClient } from "./registry-client.js";

const REFERRERS_MAX = 4096;

/**
 * What in the repository has SUBJECT as its subject (distribution-spec, Listing Referrers); undefined where the registry keeps no such
 * list. Errors: `denied`, `unavailable`, `failed`, `invalid`, `canceled`.
 */
export async function listReferrers(
  client: RegistryClient,
  place: { readonly repository: string; readonly subject: Digest; readonly what: string },
  options: AbortOptions,
): Promise<readonly Descriptor[] | undefined> {
  const { repository, subject, what } = place;
  const list = {
    path: `${repository}/referrers/${subject}`,
    scope: { repository, access: "pull" },
    headers: { accept: MediaType.ociIndex },
    what,
    max: REFERRERS_MAX,
    read: (response: HttpResponse) => referrersOf(response, what),
  } as const;
  return readPages(client, list, options);
}

/** What registries answer that know no such list: all but the first are seen in the wild. */
const NO_LIST: ReadonlySet<number> = new Set([404, 400, 405, 406]);

async function referrersOf(response: HttpResponse, what: string): Promise<readonly Descriptor[] | undefined> {
  if (NO_LIST.has(response.status)) {
    response.discard();
    return undefined;
  }
  if (response.status !== 200) throw await statusError(response, what);
  // A web page, say: whoever means the list says so.
  if (response.header("content-type")?.split(";", 1)[0]?.trim() !== MediaType.ociIndex) {
    response.discard();
    return undefined;
  }
  const text = await response.text(MANIFEST_BYTES_MAX);
  const document = parseManifestOrIndex(Buffer.from(text), MediaType.ociIndex);
  return document.kind === "index" ? document.index.manifests : undefined;
}
