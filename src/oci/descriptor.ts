import type { Digest } from "../base/index.js";
import type { Platform } from "./platform.js";

/** What some content is, and how to check it (image-spec, descriptor). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly urls?: readonly string[];
  readonly platform?: Platform;
  readonly artifactType?: string;
  /** The content itself, in base64. Whoever needs it reads it all the same: it is not checked here. */
  readonly data?: string;
}

/** A layer of an image: its blob and the digest of its uncompressed tar. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}
