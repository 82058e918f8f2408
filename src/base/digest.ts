import { hash } from "node:crypto";
import { EngineError } from "./errors.js";

declare const digestBrand: unique symbol;

/** A sha256 content digest in the form `sha256:<64 lower-case hex digits>` (OCI image-spec, descriptor, "Digests"). */
export type Digest = `sha256:${string}` & { readonly [digestBrand]: true };

const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;

/** Whether TEXT is a well-formed sha256 digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST_PATTERN.test(text);
}

/** Reads a digest. Throws `invalid` on anything but `sha256:` and 64 lower-case hex digits. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text))
    throw new EngineError("invalid", `parsing digest ${JSON.stringify(text)}: expected sha256:<64 hex digits>`);
  return text;
}

/** The sha256 digest of BYTES (a string is taken as UTF-8). */
export function digestOf(bytes: Uint8Array | string): Digest {
  return digestFromHex(hash("sha256", bytes, "hex"));
}

/** Wraps 64 hex digits that come straight from a sha256 hash. */
export function digestFromHex(hex: string): Digest {
  return `sha256:${hex}` as Digest;
}

/** The 64 hex digits of a digest, as used in file names. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}
