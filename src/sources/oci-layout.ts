import path from "node:path";
import { type AbortOptions, type Digest, EngineError, errorCode, messageOf, parseDigest } from "../base/index.js";
import { openLayout, type Platform } from "../oci/index.js";
import { type SourceImage, selectImage } from "./source-image.js";

/** What `oci-layout://DIR[:TAG][@DIGEST]` says. */
export interface LayoutIdentifier {
  /** An absolute path. */
  readonly dir: string;
  readonly tag: string;
  readonly digest?: Digest;
}

/** Reads `oci-layout://DIR[:TAG][@DIGEST]`; the tag is `latest` if there is none. Throws `invalid`, also for a relative path. */
export function parseLayoutIdentifier(identifier: string): LayoutIdentifier {
  const match = IDENTIFIER.exec(identifier);
  const dir = match?.groups?.dir;
  if (match === null || dir === undefined || !path.isAbsolute(dir)) {
    throw new EngineError(
      "invalid",
      `${JSON.stringify(identifier)} is no oci-layout://DIR[:TAG][@DIGEST] with an absolute path`,
    );
  }
  const { tag = "latest", digest } = match.groups ?? {};
  return { dir, tag, ...(digest === undefined ? {} : { digest: parseDigest(digest) }) };
}

/**
 * The image for PLATFORM in the image layout that IDENTIFIER names; its layers are read from there. A tag that isn't there gives the
 * layout's only image. Errors, naming the identifier: `invalid`, `not-found`, `unsupported`, `data-loss`.
 */
export async function resolveLayoutImage(
  identifier: string,
  platform: Platform,
  options?: AbortOptions,
): Promise<SourceImage> {
  const { dir, tag, digest } = parseLayoutIdentifier(identifier);
  try {
    const layout = await openLayout(dir, options);
    return await selectImage(layout, await layout.resolve({ tag, digest }, options), platform, options);
  } catch (cause) {
    if (errorCode(cause) === "canceled") throw cause;
    const shown = JSON.stringify(digest === undefined ? `oci-layout://${dir}:${tag}` : `oci-layout://${dir}@${digest}`);
    throw new EngineError(
      errorCode(cause),
      `oci-layout reference ${shown} could not be resolved: ${messageOf(cause)}`,
      { cause },
    );
  }
}

const IDENTIFIER =
  /^oci-layout:\/\/(?<dir>.+?)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>[a-z0-9]+:[^@/]*))?$/s;
