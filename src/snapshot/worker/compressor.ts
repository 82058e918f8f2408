import { type Digest, unreachable } from "../../base/index.js";
import { createEstargz } from "./estargz.js";
import { createGzip } from "./gzip.js";
import { createZstd } from "./zstd.js";

/** How a layer's archive is packed. Levels: 0 to 9, of zstd 0 to 22. */
export type LayerCompression =
  | { readonly kind: "none" }
  | { readonly kind: "gzip"; readonly level: number }
  | { readonly kind: "estargz"; readonly level: number }
  | { readonly kind: "zstd"; readonly level: number };

/** Where a compressor's output goes; synchronous, in order. */
export type Output = (bytes: Uint8Array) => void;

/** Input in blocks, then the end. Each call resolves when there is room for more. */
export interface Compressor {
  /** Takes a whole block of GZIP_BLOCK_BYTES, or the last, shorter one. The block is kept: don't write to it again. */
  write(block: Buffer): Promise<void>;
  /** Gives what the archive has become, where packing adds to it. */
  end(): Promise<Repacked | undefined>;
  /** Lets go of what it holds when the end will not come. */
  abandon?(): void;
}

/** An archive that holds more than the one that was packed. */
export interface Repacked {
  /** The digest of what unpacking gives. */
  readonly diffId: Digest;
  /** For the descriptor of the blob. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** Bounds memory: each block in flight holds its input and its output. */
const BLOCKS_IN_FLIGHT = 6;
/** What is packed while steps run leaves them the other cores. */
const BLOCKS_IN_BACKGROUND = 1;

/** The compressor, undefined for `none`. Its bytes don't depend on `background`: whether it keeps to about one core. */
export function createCompressor(
  compression: LayerCompression,
  output: Output,
  { background }: { readonly background: boolean },
): Compressor | undefined {
  const inFlight = background ? BLOCKS_IN_BACKGROUND : BLOCKS_IN_FLIGHT;
  switch (compression.kind) {
    case "none":
      return undefined;
    case "gzip":
      return createGzip(compression.level, output, inFlight);
    case "estargz":
      return createEstargz(compression.level, output, inFlight);
    case "zstd":
      return createZstd(compression.level, output);
    default:
      return unreachable(compression);
  }
}

/** What packs, by name and version: with the level, all that the bytes of a blob depend on. */
export function encoderOf({ kind }: LayerCompression, zstdEncoder: () => string): string | undefined {
  if (kind === "none") return undefined;
  return kind === "zstd" ? zstdEncoder() : `zlib ${process.versions.zlib ?? "of an unknown version"}`;
}
