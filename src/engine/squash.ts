import type { AbortOptions } from "../base/index.js";
import type { ExportedImage } from "../exporters/index.js";
import type { HistoryEntry } from "../oci/index.js";
import type { DataPlane, LayerStore } from "../snapshot/index.js";

/** What layers are made one with. */
export interface Squasher {
  readonly plane: DataPlane;
  readonly layers: LayerStore;
}

/**
 * IMAGE with the layers above its base image's as one, which holds what they come to: what one of them made and a later one removed is
 * not in it. The history keeps its entries; the last one has the layer.
 */
export async function squashOwn(
  { plane, layers }: Squasher,
  image: ExportedImage,
  { signal }: AbortOptions,
): Promise<ExportedImage> {
  const { tree, baseLayers, config } = image;
  if (tree.length - baseLayers < 2) return image;
  await layers.ensure(tree, { signal });
  const base = tree.slice(0, baseLayers);
  const workspace = await layers.create([]);
  try {
    const args = { lower: base, upper: tree, layer: workspace.layer };
    const summary = await plane.run("diffTrees", args, { signal });
    const own = await layers.seal(workspace, summary);
    return {
      ...image,
      tree: [...base, ...own],
      config: { ...config, history: withOneLayer(config.history, baseLayers) },
    };
  } catch (error) {
    await layers.abandon(workspace);
    throw error;
  }
}

function withOneLayer(history: readonly HistoryEntry[], baseLayers: number): readonly HistoryEntry[] {
  const withLayer = history.flatMap((entry, i) => (entry.empty_layer ? [] : [i]));
  const emptied = new Set(withLayer.slice(baseLayers, -1));
  return history.map((entry, i) => (emptied.has(i) ? { ...entry, empty_layer: true } : entry));
}
