import { createLimiter, EngineError, errorCode, Flight, heardByMany, messageOf } from "../base/index.js";
import type { JobResult } from "./data-plane.js";
import type { EnsureOptions, KnownLayer, LayerStore, LayerStoreOptions } from "./layer-store.js";
import type { LayerId, Tree } from "./tree.js";
import type { JobProgress } from "./worker/context.js";

/** An image's layer in a directory of its own, not yet fitted to what lies below it. */
interface Unpacked {
  readonly layer: LayerId;
  readonly fixups: JobResult<"unpackLayer">;
  placed: boolean;
}

interface Unpacking {
  readonly tree: Tree;
  readonly made: ReadonlyMap<LayerId, Promise<Unpacked>>;
  readonly signal: AbortSignal;
}

/** Layers that are fetched and unpacked at once: enough to keep connections and threads busy, and little to undo. */
const PULLS_MAX = 16;

/** That a layer's blob does not hold what it was said to. */
export class DamagedLayer extends EngineError {
  readonly image: KnownLayer;

  constructor(image: KnownLayer, cause: unknown) {
    super(errorCode(cause), messageOf(cause), { cause });
    this.image = image;
  }
}

/** Brings image layers onto this disk: fetched and unpacked side by side, then fitted together from the bottom up. */
export class LayerPuller {
  readonly #layers: LayerStore;
  readonly #options: LayerStoreOptions;
  /** By the layers that are missing: who needs the same waits for the same. */
  readonly #pulling = new Flight<string, void>();
  readonly #limiter = createLimiter(PULLS_MAX);

  constructor(layers: LayerStore, options: LayerStoreOptions) {
    this.#layers = layers;
    this.#options = options;
  }

  ensure(tree: Tree, options: EnsureOptions = {}): Promise<void> {
    const lazy = tree.filter((id) => this.#layers.info(id).state === "lazy");
    if (lazy.length === 0) return Promise.resolve();
    return this.#pulling.do(lazy.join("."), (signal) => this.#pull(tree, { ...options, signal }), options);
  }

  async #pull(tree: Tree, options: EnsureOptions): Promise<void> {
    const lazy = tree.filter((id) => this.#layers.info(id).state === "lazy");
    const made = new Map<LayerId, Promise<Unpacked>>();
    const scope = new AbortController();
    const signal = heardByMany(options.signal ? AbortSignal.any([options.signal, scope.signal]) : scope.signal);
    try {
      for (const id of lazy) {
        const work = this.#limiter.run(() => this.#fetchAndUnpack(id, { ...options, signal }), { signal });
        work.catch(() => {});
        made.set(id, work);
      }
      for (const id of lazy) await this.#publish(id, { tree, made, signal });
    } catch (error) {
      scope.abort(error);
      const layers = await Promise.allSettled(made.values());
      for (const each of layers)
        if (each.status === "fulfilled" && !each.value.placed)
          await this.#layers.abandon({ layer: each.value.layer, parents: [] });
      throw error;
    }
  }

  /** Unpacks an image's layer into a new one; lower layers are not looked at yet. */
  async #fetchAndUnpack(id: LayerId, options: EnsureOptions): Promise<Unpacked> {
    const { image } = this.#layers.info(id);
    if (!image) throw new EngineError("data-loss", `layer ${id} is neither on this disk nor known to any image`);
    const tell = (step: "download" | "extract" | "done") => (progress?: JobProgress) =>
      options.onPull?.(id, image.descriptor, step, progress);
    const blob = await this.#options.fetch(image, { signal: options.signal, onProgress: tell("download") });
    const workspace = await this.#layers.create([]);
    try {
      const args = { layer: workspace.layer, blob, diffId: image.diffId };
      const fixups = await this.#options.plane.run("unpackLayer", args, {
        signal: options.signal,
        onProgress: tell("extract"),
      });
      tell("done")();
      return { layer: workspace.layer, fixups, placed: false };
    } catch (error) {
      await this.#layers.abandon(workspace);
      const code = errorCode(error);
      throw code === "data-loss" || code === "invalid" ? new DamagedLayer(image, error) : error;
    }
  }

  /** Fits an unpacked layer to those below it and gives it its place; somebody else may have been faster. */
  async #publish(id: LayerId, { tree, made, signal }: Unpacking): Promise<void> {
    const unpacked = await made.get(id);
    if (!unpacked) return;
    const { plane, bootId, database } = this.#options;
    const base = tree.slice(0, tree.indexOf(id));
    const [summary] = await plane.run("settleLayers", { base, layers: [unpacked] }, { signal });
    if (!summary) throw new EngineError("internal", `no summary of layer ${id}`);
    const isOurs = await plane.control("placeLayer", { from: unpacked.layer, to: id });
    unpacked.placed = true;
    // Whoever else has put it there knows what its root looks like, or is gone.
    const looks = isOurs ? [summary.stamp, summary.shape] : [null, null];
    await database.transaction(() => {
      const update = "UPDATE layer SET state = 'ready', size_bytes = ?, stamp = ?, shape = ?, boot_id = ?, durable = 0";
      const where = isOurs ? "id = ?" : "id = ? AND state = 'lazy'";
      database.run(`${update} WHERE ${where}`, summary.sizeBytes, ...looks, bootId, id);
      database.run("DELETE FROM layer WHERE id = ?", unpacked.layer);
    });
  }
}
