import { type AbortOptions, EngineError } from "../base/index.js";
import { isTag, MANIFEST_BYTES_MAX } from "../oci/index.js";
import { statusError } from "./errors.js";
import type { HttpResponse } from "./http.js";
import { readPages } from "./pages.js";
import type { RegistryClient } from "./registry-client.js";

/** Repositories that are built into at every commit have some tens of thousands. */
const TAGS_MAX = 100_000;
/** What is asked for at once; registries give fewer where they like. */
const TAGS_OF_PAGE = 10_000;

/** The tags of a repository, as the registry orders them (distribution-spec, Listing Tags). Errors: `not-found` and those of pages. */
export async function listTags(
  client: RegistryClient,
  { repository, what }: { readonly repository: string; readonly what: string },
  options: AbortOptions,
): Promise<readonly string[]> {
  const list = {
    path: `${repository}/tags/list?n=${TAGS_OF_PAGE}`,
    scope: { repository, access: "pull" },
    what,
    max: TAGS_MAX,
    read: (response: HttpResponse) => tagsOf(response, what),
  } as const;
  return (await readPages(client, list, options)) ?? [];
}

async function tagsOf(response: HttpResponse, what: string): Promise<readonly string[]> {
  if (response.status !== 200) throw await statusError(response, what);
  const tags = member(await response.text(MANIFEST_BYTES_MAX));
  // A repository without any may have none of the list either.
  if (tags === null || tags === undefined) return [];
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string" && isTag(tag)))
    throw new EngineError("invalid", `${what}: the registry gives no list of tags`);
  return tags;
}

function member(text: string): unknown {
  try {
    return JSON.parse(text)?.tags;
  } catch {
    return false;
  }
}
