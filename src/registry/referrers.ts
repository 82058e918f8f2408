import { type AbortOptions, type Digest, EngineError } from "../base/index.js";
import { type Descriptor, MANIFEST_BYTES_MAX, MediaType, parseManifestOrIndex } from "../oci/index.js";
import { statusError } from "./errors.js";
import type { HttpResponse } from "./http.js";
import type { RegistryClient, RegistryRequest } from "./registry-client.js";
import { retrying } from "./retries.js";

/** Pages of one list, and descriptors of all of them. */
const PAGES_MAX = 32;
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
  const found: Descriptor[] = [];
  let path: string | undefined = `${repository}/referrers/${subject}`;
  for (let page = 0; path !== undefined && found.length < REFERRERS_MAX; page++) {
    if (page === PAGES_MAX) throw new EngineError("invalid", `${what}: the list has more than ${PAGES_MAX} pages`);
    const request: RegistryRequest = {
      method: "GET",
      path,
      scope: { repository, access: "pull" },
      headers: { accept: MediaType.ociIndex },
      what,
    };
    const read = () => retrying(() => readPage(client, request, options), client.retryDelaysMs, options);
    const answer = await client.connected("document").run(read, options);
    if (answer === undefined) return page === 0 ? undefined : found;
    found.push(...answer.referrers);
    path = answer.next;
  }
  return found.slice(0, REFERRERS_MAX);
}

/** What registries answer that know no such list: all but the first are seen in the wild. */
const NO_LIST: ReadonlySet<number> = new Set([404, 400, 405, 406]);

interface Page {
  readonly referrers: readonly Descriptor[];
  readonly next: string | undefined;
}

async function readPage(
  client: RegistryClient,
  request: RegistryRequest,
  options: AbortOptions,
): Promise<Page | undefined> {
  const response = await client.send(request, options);
  if (NO_LIST.has(response.status)) {
    response.discard();
    return undefined;
  }
  if (response.status !== 200) throw await statusError(response, request.what);
  // A web page, say: whoever means the list says so.
  if (response.header("content-type")?.split(";", 1)[0]?.trim() !== MediaType.ociIndex) {
    response.discard();
    return undefined;
  }
  const text = await response.text(MANIFEST_BYTES_MAX);
  const document = parseManifestOrIndex(Buffer.from(text), MediaType.ociIndex);
  if (document.kind !== "index") return undefined;
  return { referrers: document.index.manifests, next: nextPage(response) };
}

/** Where the list goes on (RFC 5988), if it does so at this registry. */
function nextPage(response: HttpResponse): string | undefined {
  const [, target] = /^<([^>]{1,4096})>\s*;[^,]*rel="?next"?/i.exec(response.header("link") ?? "") ?? [];
  if (target === undefined || !URL.canParse(target, response.url.href)) return undefined;
  const url = new URL(target, response.url);
  return url.origin === response.url.origin ? url.href : undefined;
}
