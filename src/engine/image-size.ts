import type { Layer } from "../oci/index.js";
import type { LayerStore } from "../snapshot/index.js";

/** What the LAYERS of an image take unpacked, in bytes; of those that are not here, what their blobs take. However they are packed. */
export function imageSize(layers: readonly Layer[], store: Pick<LayerStore, "known">): number {
  const known = store.known(layers);
  return layers.reduce((sum, { descriptor }, i) => {
    const info = known[i];
    return sum + (info?.state === "ready" ? info.sizeBytes : descriptor.size);
  }, 0);
}
