import { createHash } from "node:crypto";
import fs from "node:fs";
import { type Digest, digestFromHex, EngineError } from "../../base/index.js";
import { createTarParser } from "../../tar/index.js";
import type { LayerId } from "../tree.js";
import type { Job } from "./context.js";
import { type Compression, decompressed, detectCompression } from "./decompress.js";
import { createLayerExtractor, type LayerFixups } from "./layer-extract.js";
import { Root } from "./root.js";

/** A layer's blob and where it goes. */
export interface UnpackArgs {
  /** Absolute path of the blob: a tar archive, plain or packed with gzip or zstd. */
  readonly blob: string;
  /** The layer whose (empty) directory takes the content. */
  readonly layer: LayerId;
  /** What the unpacked archive must hash to. */
  readonly diffId: Digest;
}

/**
 * Unpacks a layer into a directory of its own, with nothing below it: other layers may be unpacked at the same time. No name and no
 * link in the archive leads out of that directory. `settleLayers` must apply the fix-ups before the layer is used. Throws `data-loss`
 * where the archive is not the expected one, `invalid` where it is malformed; what was written is then garbage.
 */
export const unpackLayer: Job<UnpackArgs, LayerFixups> = async ({ blob, layer, diffId }, context) => {
  const target = `${layer}/fs`;
  fs.mkdirSync(target, { recursive: true, mode: 0o755 });
  const fd = fs.openSync(blob, "r");
  using root = Root.open(target);
  const extractor = createLayerExtractor();
  try {
    const total = fs.fstatSync(fd).size;
    const hash = createHash("sha256");
    const parser = createTarParser(extractor);
    const onRead = (current: number) => context.report({ current, total, unit: "bytes" });
    for await (const chunk of decompressed({ fd, compression: packingOf(fd), name: "a layer's archive", onRead })) {
      context.checkCanceled();
      hash.update(chunk);
      root.enter(() => parser.write(chunk));
    }
    const actual = digestFromHex(hash.digest("hex"));
    if (actual !== diffId)
      throw new EngineError("data-loss", `a layer's archive has the digest ${actual}, expected ${diffId}`);
    return root.enter(() => {
      parser.end();
      return extractor.finish();
    });
  } finally {
    extractor.close();
    fs.closeSync(fd);
  }
};

/** Images pack their layers in two ways (image-spec, layer): no other program is let loose on what a registry sends. */
function packingOf(fd: number): Compression {
  const compression = detectCompression(fd);
  if (compression === "none" || compression === "gzip" || compression === "zstd") return compression;
  throw new EngineError("invalid", `a layer's archive is compressed with ${compression}, which images don't use`);
}
