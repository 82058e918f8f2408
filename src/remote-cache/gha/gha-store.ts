import { type Digest, EngineError, errorCode } from "../../base/index.js";
import type { Descriptor } from "../../oci/index.js";
import type { HttpClient } from "../../registry/index.js";
import { CACHE_CONFIG_BYTES_MAX } from "../document.js";
import { isNewest, type ObjectStore, readBounded } from "../object-place.js";
import { CacheService, type ServiceEntry } from "./service.js";

/** Where in GitHub's cache service a cache is. */
export interface GhaPlace {
  readonly url: URL;
  readonly token: string;
  /** Tells the caches of one repository and branch apart. */
  readonly scope: string;
}

/** What may be said of such a place; BuildKit's others are taken, and count for nothing. */
export const GHA_OPTIONS = ["url", "url_v2", "token", "scope", "version", "timeout", "ghtoken", "repository"] as const;

/** Reads where the service is. Throws `invalid`, `unsupported` for its version 1, which GitHub has shut down. */
export function ghaPlace(attrs: Readonly<Record<string, string>>): GhaPlace {
  const { token, scope = "ashlar", url_v2: url = attrs.url, version } = attrs;
  if (version === "1")
    throw new EngineError("unsupported", "version 1 of GitHub's cache service is gone: there is version 2");
  if (!token) throw new EngineError("invalid", "token ($ACTIONS_RUNTIME_TOKEN) not set for github actions cache");
  if (!url) throw new EngineError("invalid", "url_v2 ($ACTIONS_RESULTS_URL) not set for github actions cache");
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new EngineError(
      "invalid",
      `invalid url_v2 ${JSON.stringify(url)}: it is an address, that of the cache service`,
    );
  return { token, scope, url: new URL(url) };
}

/**
 * The cache service of GitHub Actions. It keeps entries as they were written: each config is an entry of its own, the newest of which is
 * read. It forgets entries that nobody has used for days, so that single blobs may be gone.
 */
export function ghaStore(
  place: GhaPlace,
  { client, newId }: { readonly client: HttpClient; readonly newId: () => string },
): ObjectStore {
  const service = new CacheService({ ...place, client });
  const found = new Map<Digest, ServiceEntry>();
  const blobKey = (digest: Digest) => `ashlar-blob-1-${digest}`;
  const configPrefix = `ashlar-index-1-${place.scope}#`;
  const has: ObjectStore["has"] = async ({ digest }, options) => {
    const entry = await service.find(blobKey(digest), undefined, options);
    if (entry) found.set(digest, entry);
    return entry !== undefined;
  };
  const readConfig: ObjectStore["readConfig"] = async (options) => {
    const entry = await service.find(configPrefix, configPrefix, options);
    return entry && readBounded(await service.read(entry, 0, options), CACHE_CONFIG_BYTES_MAX);
  };
  return {
    name: `gha:${place.scope}`,
    title: "exporting to GitHub Actions Cache",
    origin: `gha-cache://${place.url.host}/${place.scope}`,
    has,
    refresh: has,
    readConfig,
    async writeConfig(bytes, options) {
      if (await isNewest(bytes, () => readConfig(options))) return;
      async function* open() {
        yield bytes;
      }
      // Keys are written once. Those of two that write at the same time differ, and the service knows which came last.
      const key = `${configPrefix}${newId()}`;
      const isWritten = await service.write(key, { sizeBytes: bytes.length, open }, options);
      if (!isWritten) throw new EngineError("unavailable", "somebody else is writing the cache at this moment");
    },
    async read(blob, offset, options) {
      const known = found.get(blob.digest);
      try {
        if (known) return await service.read(known, offset, options);
      } catch (error) {
        if (errorCode(error) !== "denied") throw error; // the address is too old
      }
      if (!(await has(blob, options))) throw gone(blob);
      const entry = found.get(blob.digest);
      if (!entry) throw gone(blob);
      return service.read(entry, offset, options);
    },
    async write(blob, source, options) {
      const { digest, size } = blob;
      // Whoever else writes it at this moment writes the same.
      await service.write(blobKey(digest), { sizeBytes: size, open: () => source.read(blob, options) }, options);
    },
  };
}

function gone({ digest }: Descriptor): EngineError {
  return new EngineError("not-found", `${digest} is gone from the cache service`);
}
