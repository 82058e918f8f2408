import { type AbortOptions, EngineError, forAll } from "../base/index.js";
import type { ImageWriter } from "../exporters/index.js";
import type { Layer } from "../oci/index.js";
import type { FetchLayer, LayerId, LayerStore } from "../snapshot/index.js";
import type { ContentStore, Database } from "../store/index.js";
import { chainIds } from "./image-contents.js";

/** What the layers of stored images are brought with. */
export interface LayerBringing {
  readonly store: ContentStore;
  readonly database: Database;
  readonly layers: LayerStore;
  readonly writer: ImageWriter;
  readonly fetchLayer: FetchLayer;
}

/**
 * Sees to it that the layers of one image, bottom first, are blobs in the content store: those that were made here are packed as they are
 * described, those of a base image that nobody needed yet are fetched. Gives those that weren't there. Errors: `not-found` for a layer that
 * is nowhere, those of fetching, `data-loss`, `no-space`, `canceled`.
 */
export async function bringLayers(
  bringing: LayerBringing,
  image: readonly Layer[],
  options: AbortOptions,
): Promise<readonly Layer[]> {
  const { store } = bringing;
  const missing: { readonly layer: Layer; readonly at: number }[] = [];
  for (const [at, layer] of image.entries()) {
    const info = await store.info(layer.descriptor.digest);
    if (info?.sizeBytes !== layer.descriptor.size) missing.push({ layer, at });
  }
  if (missing.length === 0) return [];
  const ids = layerIds(bringing, image);
  await forAll(missing, ({ layer, at }, signal) => bring(bringing, { layer, id: ids[at] }, { signal }), options);
  return missing.map(({ layer }) => layer);
}

/** The numbers of an image's layers, as far as they are known. */
export function layerIds(
  { database }: Pick<LayerBringing, "database">,
  image: readonly Layer[],
): readonly (LayerId | undefined)[] {
  return chainIds(image.map(({ diffId }) => diffId)).map(
    (chain) => database.get<{ id: LayerId }>("SELECT id FROM layer WHERE chain_id = ?", chain)?.id,
  );
}

async function bring(
  { layers, store, writer, fetchLayer }: LayerBringing,
  { layer, id }: { readonly layer: Layer; readonly id: LayerId | undefined },
  { signal }: AbortOptions,
): Promise<void> {
  const { digest } = layer.descriptor;
  if (id !== undefined && (await layers.mend([id])).length > 0)
    throw new EngineError("data-loss", `the files of its layer ${layer.diffId} are gone, or damaged`);
  const known = id === undefined ? undefined : layers.info(id).image;
  if (id !== undefined && known === undefined) await writer.keepBlob(id, layer, { signal });
  else if (known?.descriptor.digest === digest) await fetchLayer(known, { signal });
  if (!(await store.info(digest)))
    throw new EngineError("not-found", `the layer ${digest} of the image is not on this disk any more`, {
      hint: "Pull or build the image again.",
    });
}
