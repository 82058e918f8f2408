import { type AbortOptions, EngineError, errorCode, Flight, forAll, messageOf } from "../base/index.js";
import {
  type Descriptor,
  isIndexType,
  isManifestType,
  MANIFEST_BYTES_MAX,
  type ManifestOrIndex,
  type Provider,
  parseManifestOrIndex,
  type Reference,
  readAll,
  successors,
} from "../oci/index.js";
import type { Repository } from "./repository.js";

export interface PushOptions extends AbortOptions {
  /** What the image is to be called in the repository. Without any it can only be had by its digest. */
  readonly tags: readonly string[];
  /** Repositories that may have a blob, the likeliest first: where they are of the same registry, it is mounted from there. */
  readonly origins?: ((blob: Descriptor) => readonly Reference[]) | undefined;
  readonly onProgress?: ((progress: PushProgress) => void) | undefined;
}

/** What becomes of one blob or document. */
export type PushProgress = { readonly target: Descriptor } & (
  | { readonly kind: "started" }
  /** So many bytes are sent; fewer than before after a cut. */
  | { readonly kind: "sending"; readonly currentBytes: number }
  | { readonly kind: "done"; readonly outcome: PushOutcome }
);

/** It was there, is mounted from another repository, was sent, or is not to be distributed (a layer of another place). */
export type PushOutcome = "present" | "mounted" | "uploaded" | "skipped";

/**
 * Puts the image that ROOT describes, a manifest or an index with all it points to, into REPOSITORY, reading from PROVIDER only what the
 * registry hasn't. A document follows what it points to, and the tags come last: what can be found is complete. The first failure ends
 * all that is under way. Errors, with the repository's name: `denied`, `unavailable`, `failed`, `invalid`, `data-loss`, `canceled`, and
 * those of the provider.
 */
export async function pushImage(
  repository: Repository,
  root: Descriptor,
  provider: Provider,
  options: PushOptions,
): Promise<void> {
  try {
    const names = options.tags.length === 0 ? [root.digest] : options.tags;
    await new Push(repository, provider, options).document(root, names, options);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === "canceled") throw cause;
    const hint = cause instanceof EngineError && cause.hint !== undefined ? { hint: cause.hint } : {};
    throw new EngineError(
      code,
      `failed to push ${repository.name}: ${withoutHost(messageOf(cause), repository.name)}`,
      { cause, ...hint },
    );
  }
}

/** MESSAGE without the registry's name in front, which NAME begins with. */
function withoutHost(message: string, name: string): string {
  const host = `${name.slice(0, name.indexOf("/"))}: `;
  return message.startsWith(host) ? message.slice(host.length) : message;
}

/** Indexes within indexes. */
const INDEX_DEPTH_MAX = 8;

interface Depth extends AbortOptions {
  /** Indexes around. */
  readonly depth?: number;
}

/** One image on its way: what several of its parts point to is sent once. */
class Push {
  readonly #repository: Repository;
  readonly #provider: Provider;
  readonly #options: PushOptions;
  readonly #sending = new Flight<string, void>();
  readonly #sent = new Set<string>();

  constructor(repository: Repository, provider: Provider, options: PushOptions) {
    this.#repository = repository;
    this.#provider = provider;
    this.#options = options;
  }

  /** What DOCUMENT points to, then the document by each of NAMES. */
  async document(document: Descriptor, names: readonly string[], options: Depth): Promise<void> {
    const { depth = 0 } = options;
    if (depth > INDEX_DEPTH_MAX) throw new EngineError("invalid", `${document.digest}: indexes are nested too deeply`);
    const bytes = await readAll(this.#provider, document, MANIFEST_BYTES_MAX, options);
    const content = parseManifestOrIndex(bytes, document.mediaType);
    const within = { depth: depth + 1 };
    await forAll(successors(content), (part, signal) => this.#part(part, content.kind, { ...within, signal }), options);
    // One by one: where a name can't be written, fewer are left behind.
    for (const name of names) await this.#put(document, bytes, name, options);
  }

  #part(part: Descriptor, within: ManifestOrIndex["kind"], options: Depth): Promise<void> {
    const isDocument = within === "index" && (isManifestType(part.mediaType) || isIndexType(part.mediaType));
    const send = async (signal: AbortSignal): Promise<void> => {
      if (this.#sent.has(part.digest)) return;
      await (isDocument ? this.document(part, [part.digest], { ...options, signal }) : this.#blob(part, { signal }));
      this.#sent.add(part.digest);
    };
    return this.#sending.do(part.digest, send, options);
  }

  async #blob(blob: Descriptor, options: AbortOptions): Promise<void> {
    this.#tell({ target: blob, kind: "started" });
    const outcome = isForeign(blob.mediaType)
      ? "skipped"
      : await this.#repository.putBlob(blob, this.#provider, {
          ...options,
          origins: this.#options.origins?.(blob),
          onSent: (currentBytes) => this.#tell({ target: blob, kind: "sending", currentBytes }),
        });
    this.#tell({ target: blob, kind: "done", outcome });
  }

  async #put(document: Descriptor, bytes: Uint8Array, name: string, options: AbortOptions): Promise<void> {
    this.#tell({ target: document, kind: "started" });
    const outcome = await this.#repository.putManifest(document, bytes, name, options);
    this.#tell({ target: document, kind: "done", outcome });
  }

  #tell(progress: PushProgress): void {
    this.#options.onProgress?.(progress);
  }
}

/** Layers that image authors may not distribute: whoever needs them fetches them from their own addresses. */
function isForeign(mediaType: string): boolean {
  return /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1|docker\.image\.rootfs\.foreign\.diff)\.tar/.test(
    mediaType,
  );
}
