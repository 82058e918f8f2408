import type { Digest } from "../base/index.js";
import { buryRecords } from "../cache/index.js";
import type { ImageLayer, KnownLayer, LayerId } from "../snapshot/index.js";
import type { BuildEngine } from "./build.js";
import type { UnhadLayer } from "./catalog.js";

/** So many layers of one place may be gone before it is left alone: for each the build looks at everything once more. */
const GONE_MAX = 8;

/** What a build has found out of layers that can't be had, most of all from caches of other machines. */
export interface LostLayers {
  /** Whether nothing of ORIGIN is to be relied on; with BLOB, or it hasn't got that. */
  has(origin: string, blob?: Digest): boolean;
  /** Notes what LAYER tells; false if all of it was known. */
  add(layer: UnhadLayer): boolean;
  /** Whether LAYER is at none of the places that it was seen at, nor here as a blob. */
  isNowhere(layer: KnownLayer): Promise<boolean>;
}

/** Nothing is lost yet. */
export function noneLost({ outputs: { store } }: Pick<BuildEngine, "outputs">): LostLayers {
  const places = new Set<string>();
  const liars = new Set<string>();
  const blobs = new Map<string, Set<Digest>>();
  const has = (origin: string, blob?: Digest): boolean =>
    places.has(origin) || (blob !== undefined && blobs.get(origin)?.has(blob) === true);
  const addGone = (origin: string, blob: Digest): void => {
    const gone = blobs.get(origin) ?? new Set();
    blobs.set(origin, gone.add(blob));
    if (gone.size > GONE_MAX) places.add(origin);
  };
  return {
    has,
    add({ image: { descriptor }, gone, unread, lying }) {
      const isNew =
        gone.some((origin) => !has(origin, descriptor.digest)) ||
        unread.some((origin) => !has(origin)) ||
        lying.some((origin) => !liars.has(origin));
      for (const origin of [...unread, ...lying]) places.add(origin);
      for (const origin of lying) liars.add(origin);
      for (const origin of gone) addGone(origin, descriptor.digest);
      return isNew;
    },
    async isNowhere({ descriptor, origins }) {
      if (!origins.every((origin) => has(origin, descriptor.digest))) return false;
      return origins.some((origin) => liars.has(origin)) || !(await store.info(descriptor.digest));
    },
  };
}

/** What became of layers that can't be had where they were seen. */
export interface Forgotten {
  /** Records whose steps have to run again. */
  readonly records: number;
  /** Layers that are fetched from elsewhere. */
  readonly relocated: number;
}

/** Has layers that are LOST fetched from IMAGES that have them, too; forgets the records that stand on others. */
export async function forgetLost(
  { database, layers, clock }: Pick<BuildEngine, "database" | "layers" | "clock">,
  lost: LostLayers,
  images: readonly (readonly ImageLayer[])[],
): Promise<Forgotten> {
  const nowhere: LayerId[] = [];
  for (const { id } of database.all<{ id: LayerId }>("SELECT id FROM layer WHERE state = 'lazy'")) {
    const { image } = layers.info(id);
    if (image && image.origins.length > 0 && (await lost.isNowhere(image))) nowhere.push(id);
  }
  const { moved, left } = await layers.relocate(nowhere, images);
  const burial = { at: clock.now(), reason: "damaged" } as const;
  const records = await database.transaction(() => {
    const isLost = "state = 'lazy' AND id IN (SELECT value FROM json_each(?))";
    const ids = JSON.stringify(left);
    const standing = `SELECT record FROM record_layer WHERE layer IN (SELECT id FROM layer WHERE ${isLost})`;
    const count = buryRecords(database, `id IN (${standing})`, [ids], burial);
    // Who hears of the same layers from another place shall not be sent to this one.
    database.run(`UPDATE layer SET chain_id = NULL WHERE ${isLost}`, ids);
    return count;
  });
  return { records, relocated: moved.length };
}
