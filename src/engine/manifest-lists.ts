import os from "node:os";
import path from "node:path";
import { type AbortOptions, type Digest, digestOf, EngineError, errorCode, systemClock } from "../base/index.js";
import {
  configPlatform,
  type Descriptor,
  descriptorJson,
  formatReference,
  goJson,
  isConfigType,
  type JsonValue,
  MediaType,
  type Platform,
  parseReference,
  type Reference,
  readImageConfig,
  repositoryName,
  withDefaultTag,
} from "../oci/index.js";
import { pushImage, type Registry, type RepositoryOptions } from "../registry/index.js";
import { type FoundDocument, readDocument, resolveImagePlace } from "./image-place.js";
import { createManifestListStore, type ListEntry, type ManifestListStore } from "./manifest-list-store.js";
import { openRegistry } from "./registries.js";
import type { EngineOptions } from "./request.js";

/** How a list, or a manifest of one, is asked for. */
export interface ManifestOptions extends AbortOptions {
  /** Speak with a registry whose certificate nobody vouches for, or in the clear. */
  readonly insecure?: boolean;
}

/** What a manifest's place in a list is to say. */
export interface PlatformChange {
  readonly os?: string;
  readonly architecture?: string;
  readonly variant?: string;
  readonly osVersion?: string;
  /** Added to those that are there. */
  readonly osFeatures?: readonly string[];
}

/** A manifest, or a list of them: one that is not pushed yet, or one of a registry. */
export type InspectedManifest =
  | { readonly kind: "manifest"; readonly entry: ListEntry }
  | { readonly kind: "list"; readonly entries: readonly ListEntry[]; readonly document: Uint8Array };

/** What went where. */
export interface PushedList {
  /** The list's. */
  readonly digest: string;
  /** Manifests that were copied to the list's repository, by their names there. */
  readonly copied: readonly { readonly name: string; readonly digest: string }[];
}

/** Manifest lists in the making, as `docker manifest` has them, and the same of registries. Errors: those of registries, and `invalid`. */
export interface ManifestLists extends AsyncDisposable {
  /** Picks manifests for a new list, or with AMEND for one there may be; its full name. */
  create(
    list: string,
    manifests: readonly string[],
    options?: ManifestOptions & { readonly amend?: boolean },
  ): Promise<string>;
  /** Changes what the list says of a manifest's platform. `not-found` where the list hasn't it. */
  annotate(list: string, manifest: string, change: PlatformChange): void;
  /** What NAME is: a list in the making, else what the registry has. */
  inspect(name: string, options?: ManifestOptions): Promise<InspectedManifest>;
  /** The manifest that NAME is in LIST, which is in the making. `not-found`. */
  entry(list: string, name: string): ListEntry;
  /** Copies what the list's repository hasn't, then the list; with PURGE it is no longer in the making. */
  push(list: string, options?: ManifestOptions & { readonly purge?: boolean }): Promise<PushedList>;
  /** Forgets a list in the making. `not-found`. */
  remove(list: string): void;
}

/** Those that docker keeps beside its configuration. The caller disposes of it. */
export function openManifestLists(surroundings: Pick<EngineOptions, "env" | "dockerConfig">): ManifestLists {
  const { env = {}, dockerConfig } = surroundings;
  const home = env.DOCKER_CONFIG || path.join(env.HOME ?? os.homedir(), ".docker");
  const store = createManifestListStore(path.join(dockerConfig ? path.dirname(dockerConfig) : home, "manifests"));
  return new OpenLists(store, openRegistry(surroundings, systemClock));
}

class OpenLists implements ManifestLists {
  readonly #store: ManifestListStore;
  readonly #registry: Registry;

  constructor(store: ManifestListStore, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
  }

  async create(
    list: string,
    manifests: readonly string[],
    options: ManifestOptions & { readonly amend?: boolean } = {},
  ): Promise<string> {
    const target = nameOf(list);
    const present = this.#store.get(target);
    if (present !== undefined && options.amend !== true)
      throw new EngineError("already-exists", "refusing to amend an existing manifest list with no --amend flag");
    for (const manifest of manifests) {
      const reference = nameOf(manifest);
      const known = present?.find((entry) => formatReference(entry.reference) === formatReference(reference));
      this.#store.put(target, known ?? (await this.#fetch(reference, options)));
    }
    return formatReference(target);
  }

  annotate(list: string, manifest: string, change: PlatformChange): void {
    const found = this.#find(nameOf(list), nameOf(manifest));
    if (found === undefined)
      throw new EngineError("not-found", `manifest for image ${manifest} does not exist in ${list}`);
    const platform = changed(found.descriptor.platform, change);
    this.#store.put(nameOf(list), { ...found, descriptor: { ...found.descriptor, platform } });
  }

  async inspect(name: string, options: ManifestOptions = {}): Promise<InspectedManifest> {
    const reference = nameOf(name);
    const known = this.#store.get(reference);
    if (known !== undefined) return { kind: "list", entries: known, document: encodeList(known) };
    const { repository, document } = await this.#resolve(reference, options);
    const { content } = document;
    if (content.kind === "manifest") return { kind: "manifest", entry: await this.#fetch(reference, options) };
    const entries: ListEntry[] = [];
    for (const each of content.index.manifests) {
      const { bytes: raw } = await readDocument(repository, each, options);
      entries.push({ reference: { ...reference, digest: each.digest }, descriptor: each, raw });
    }
    return { kind: "list", entries, document: encodeList(entries) };
  }

  entry(list: string, name: string): ListEntry {
    const found = this.#find(nameOf(list), nameOf(name));
    if (found === undefined) throw new EngineError("not-found", `No such manifest: ${formatReference(nameOf(name))}`);
    return found;
  }

  async push(list: string, options: ManifestOptions & { readonly purge?: boolean } = {}): Promise<PushedList> {
    const target = nameOf(list);
    const entries = this.#present(target);
    for (const { reference, descriptor } of entries) {
      if (!descriptor.platform?.os || !descriptor.platform.architecture) {
        const name = formatReference(reference);
        throw new EngineError(
          "invalid",
          `manifest ${name} must have an OS and Architecture to be pushed to a registry`,
        );
      }
    }
    const destination = this.#registry.repository(target, reachedBy(options));
    const copied: { readonly name: string; readonly digest: string }[] = [];
    for (const { reference, descriptor } of entries) {
      if (repositoryName(reference) === repositoryName(target)) continue;
      const source = this.#registry.repository(reference, reachedBy(options));
      await pushImage(destination, descriptor, source, { tags: [], origins: () => [reference], ...abortOf(options) });
      copied.push({ name: `${repositoryName(target)}@${descriptor.digest}`, digest: descriptor.digest });
    }
    const bytes = encodeList(entries);
    const document: Descriptor = { mediaType: listType(entries), digest: digestOf(bytes), size: bytes.length };
    await destination.putManifest(document, bytes, target.tag ?? document.digest, options);
    if (options.purge) this.#store.remove(target);
    return { digest: document.digest, copied };
  }

  remove(list: string): void {
    const target = nameOf(list);
    this.#present(target);
    this.#store.remove(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry[Symbol.asyncDispose]();
  }

  #present(list: Reference): readonly ListEntry[] {
    const entries = this.#store.get(list);
    if (entries === undefined) throw new EngineError("not-found", `No such manifest: ${formatReference(list)}`);
    return entries;
  }

  #find(list: Reference, name: Reference): ListEntry | undefined {
    const wanted = formatReference(name);
    return this.#store.get(list)?.find(({ reference }) => formatReference(reference) === wanted);
  }

  async #resolve(reference: Reference, options: ManifestOptions) {
    const repository = this.#registry.repository(reference, reachedBy(options));
    try {
      const document = await resolveImagePlace(
        this.#registry,
        { kind: "registry", reference },
        {
          ...options,
          direct: true,
        },
      );
      return { repository, document };
    } catch (cause) {
      if (errorCode(cause) !== "not-found") throw cause;
      throw new EngineError("not-found", `no such manifest: ${formatReference(reference)}`, { cause });
    }
  }

  /** A manifest of a registry, for the platform that its config names. */
  async #fetch(reference: Reference, options: ManifestOptions): Promise<ListEntry> {
    const { repository, document } = await this.#resolve(reference, options);
    const { descriptor, bytes, content }: FoundDocument = document;
    if (content.kind === "index") throw new EngineError("invalid", `${formatReference(reference)} is a manifest list`);
    const { manifest } = content;
    const platform = isConfigType(manifest.config.mediaType)
      ? configPlatform(await readImageConfig(repository, manifest, options))
      : undefined;
    return { reference, descriptor: { ...descriptor, ...(platform ? { platform } : {}) }, raw: bytes };
  }
}

/** The architectures that docker takes for each operating system. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  darwin: "386 amd64 arm arm64",
  dragonfly: "amd64",
  freebsd: "386 amd64 arm",
  linux: "386 amd64 arm arm64 loong64 mips64 mips64le ppc64le riscv64 s390x",
  netbsd: "386 amd64 arm",
  openbsd: "386 amd64 arm",
  plan9: "386 amd64",
  solaris: "amd64",
  windows: "386 amd64 arm64",
};

function changed(platform: Platform = { os: "", architecture: "" }, change: PlatformChange): Platform {
  const osFeatures = [...new Set([...(platform.osFeatures ?? []), ...(change.osFeatures ?? [])])];
  const { os: name, architecture, variant, osVersion } = change;
  const next = {
    ...platform,
    ...(name ? { os: name } : {}),
    ...(architecture ? { architecture } : {}),
    ...(variant ? { variant } : {}),
    ...(osVersion ? { osVersion } : {}),
    ...(osFeatures.length === 0 ? {} : { osFeatures }),
  };
  const known = Object.hasOwn(ARCHITECTURES, next.os) ? ARCHITECTURES[next.os] : undefined;
  if (known === undefined || !known.split(" ").includes(next.architecture))
    throw new EngineError(
      "invalid",
      `manifest entry for image has unsupported os/arch combination: ${next.os}/${next.architecture}`,
    );
  return next;
}

function nameOf(text: string): Reference {
  return withDefaultTag(parseReference(text));
}

function listType([first]: readonly ListEntry[]): string {
  return first?.descriptor.mediaType === MediaType.ociManifest ? MediaType.ociIndex : MediaType.dockerIndex;
}

/** The list as docker writes it: three blanks, sizes before digests, nothing of annotations. */
function encodeList(entries: readonly ListEntry[]): Buffer {
  const document = new Map<string, JsonValue>([
    ["schemaVersion", 2],
    ["mediaType", listType(entries)],
    ["manifests", entries.map(({ descriptor }) => entryJson(descriptor))],
  ]);
  const text = goJson(document, "indented");
  return Buffer.from(text.replace(/^( {2})+/gm, (blanks) => " ".repeat((blanks.length / 2) * 3)));
}

function entryJson({ mediaType, size, digest, platform }: Descriptor): JsonValue {
  const platformJson = descriptorJson({ mediaType, size, digest: digest as Digest, platform: platform ?? NOWHERE });
  return new Map<string, JsonValue>([
    ["mediaType", mediaType],
    ["size", size],
    ["digest", digest],
    ["platform", platformJson.get("platform")],
  ]);
}

const NOWHERE: Platform = { os: "", architecture: "" };

function reachedBy({ insecure = false }: ManifestOptions): RepositoryOptions {
  return { insecure, direct: true };
}

function abortOf({ signal }: AbortOptions): AbortOptions {
  return signal ? { signal } : {};
}
