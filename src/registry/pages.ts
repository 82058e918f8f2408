import { type AbortOptions, EngineError } from "../base/index.js";
import type { HttpResponse } from "./http.js";
import type { RegistryClient, RegistryRequest } from "./registry-client.js";
import { retrying } from "./retries.js";

/** Pages of one list. */
const PAGES_MAX = 32;

/** A list that a registry gives in pages. */
export interface PagedList<T> extends Omit<RegistryRequest, "method"> {
  /** Entries of all pages; what is beyond them is left out. */
  readonly max: number;
  /** What a page holds; undefined where there is no such list. */
  readonly read: (response: HttpResponse) => Promise<readonly T[] | undefined>;
}

/** All entries of LIST; undefined where the registry keeps none. Errors: `denied`, `unavailable`, `failed`, `invalid`, `canceled`. */
export async function readPages<T>(
  client: RegistryClient,
  { max, read, ...first }: PagedList<T>,
  options: AbortOptions,
): Promise<readonly T[] | undefined> {
  const found: T[] = [];
  let path: string | undefined = first.path;
  for (let page = 0; path !== undefined && found.length < max; page++) {
    if (page === PAGES_MAX)
      throw new EngineError("invalid", `${first.what}: the list has more than ${PAGES_MAX} pages`);
    const request: RegistryRequest = { ...first, path, method: "GET" };
    const ask = async () => {
      const response = await client.send(request, options);
      const entries = await read(response);
      return entries && { entries, next: nextPage(response) };
    };
    const answer = await client.connected("document").run(() => retrying(ask, client.retryDelaysMs, options), options);
    if (answer === undefined) return page === 0 ? undefined : found;
    found.push(...answer.entries);
    path = answer.next;
  }
  return found.slice(0, max);
}

/** Where the list goes on (RFC 5988), if it does so at this registry. */
function nextPage(response: HttpResponse): string | undefined {
  const [, target] = /^<([^>]{1,4096})>\s*;[^,]*rel="?next"?/i.exec(response.header("link") ?? "") ?? [];
  if (target === undefined || !URL.canParse(target, response.url.href)) return undefined;
  const url = new URL(target, response.url);
  return url.origin === response.url.origin ? url.href : undefined;
}
