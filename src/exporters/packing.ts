import { unreachable } from "../base/index.js";
import { type BlobForm, DEFAULT_GZIP_LEVEL, DEFAULT_ZSTD_LEVEL } from "./layer-blobs.js";

/** How a layer can be packed. */
export type Compression = "gzip" | "zstd" | "estargz" | "uncompressed";

/** How an image's layers are to be packed. */
export interface PackingOptions {
  readonly compression: Compression;
  /** 0 to 9, of zstd to 22. */
  readonly level?: number | undefined;
  /** Whether base images' layers are packed anew where they are packed otherwise. */
  readonly forceCompression?: boolean | undefined;
  readonly rewriteTimestamp?: boolean | undefined;
  /** Seconds since the epoch. */
  readonly sourceDateEpoch?: number | undefined;
}

/** How base images' layers are packed, where they are. */
export function formOf({ compression, level, forceCompression }: PackingOptions): BlobForm {
  const force = forceCompression === true;
  switch (compression) {
    case "uncompressed":
      return { compression: { kind: "none" }, force };
    case "zstd":
      return { compression: { kind: "zstd", level: level ?? DEFAULT_ZSTD_LEVEL }, force };
    case "gzip":
    case "estargz":
      return { compression: { kind: compression, level: level ?? DEFAULT_GZIP_LEVEL }, force };
    default:
      return unreachable(compression);
  }
}

/** How layers of our own are packed. */
export function ownForm(form: BlobForm, { rewriteTimestamp, sourceDateEpoch }: PackingOptions): BlobForm {
  return { ...form, sourceDateEpoch: rewriteTimestamp ? sourceDateEpoch : undefined };
}
