import { existsSync } from "node:fs";
import {
  type AbortOptions,
  type Digest,
  EngineError,
  errorCode,
  readRegularFile,
  streamRegularFile,
} from "../base/index.js";
import type { Descriptor } from "./descriptor.js";
import type { Layout } from "./layout.js";
import { type Index, MANIFEST_BYTES_MAX, parseManifestOrIndex } from "./manifest.js";
import { type Bytes, checked, type ReadOptions } from "./provider.js";

/** Annotation of an index entry with its tag (image-spec, annotations). */
export const REF_NAME_ANNOTATION = "org.opencontainers.image.ref.name";
/** Annotation of an index entry with its full name, as containerd and BuildKit write it. */
export const IMAGE_NAME_ANNOTATION = "io.containerd.image.name";

/** Where a layout has a blob: in a file, or at hand; undefined if it holds none. */
export type Locate = (digest: Digest) => string | Uint8Array | undefined;

/** The layout whose images INDEX lists and whose blobs are where LOCATE says. */
export function indexedLayout(index: Index, locate: Locate): Layout {
  return {
    index,
    has(digest) {
      const place = locate(digest);
      return typeof place === "string" ? existsSync(place) : place !== undefined;
    },
    read: (target, options = {}) => readBlob(locate, target, options),
    async resolve({ tag, digest }, options) {
      if (digest !== undefined) {
        return index.manifests.find((manifest) => manifest.digest === digest) ?? describe(locate, digest, options);
      }
      const found = index.manifests.find((manifest) => tag !== undefined && isNamed(manifest, tag)) ?? onlyOne(index);
      if (found === undefined)
        throw new EngineError("not-found", `there is no image with the tag ${JSON.stringify(tag ?? "")}`);
      return found;
    },
  };
}

async function* readBlob(locate: Locate, target: Descriptor, options: ReadOptions): Bytes {
  const place = locate(target.digest);
  if (place === undefined) throw notFound(target.digest);
  try {
    yield* checked(
      target,
      typeof place === "string" ? streamRegularFile(place, options) : slice(place, options),
      options.offset,
    );
  } catch (cause) {
    throw errorCode(cause) === "not-found" ? notFound(target.digest, cause) : cause;
  }
}

async function* slice(bytes: Uint8Array, options: ReadOptions): Bytes {
  yield bytes.subarray(options.offset ?? 0);
}

/** The descriptor of a manifest or index that the layout's index doesn't list. */
async function describe(locate: Locate, digest: Digest, options?: AbortOptions): Promise<Descriptor> {
  const place = locate(digest);
  if (place === undefined) throw notFound(digest);
  try {
    const bytes = typeof place === "string" ? await readRegularFile(place, MANIFEST_BYTES_MAX, options) : place;
    const document = parseManifestOrIndex(bytes, undefined);
    const { mediaType } = document.kind === "index" ? document.index : document.manifest;
    return { mediaType, digest, size: bytes.length };
  } catch (cause) {
    throw errorCode(cause) === "not-found" ? notFound(digest, cause) : cause;
  }
}

function isNamed(manifest: Descriptor, tag: string): boolean {
  const { annotations = {} } = manifest;
  return annotations[REF_NAME_ANNOTATION] === tag || annotations[IMAGE_NAME_ANNOTATION] === tag;
}

function onlyOne(index: Index): Descriptor | undefined {
  return new Set(index.manifests.map((manifest) => manifest.digest)).size === 1 ? index.manifests[0] : undefined;
}

function notFound(digest: Digest, cause?: unknown): EngineError {
  return new EngineError("not-found", `${digest}: not found in the image layout`, { cause });
}
