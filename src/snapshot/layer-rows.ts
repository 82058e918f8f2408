import { type Clock, type Digest, EngineError } from "../base/index.js";
import type { Database, SqlValue } from "../store/index.js";
import { hasPlace, highestPlace, isAsItWas, movePlace } from "./layer-files.js";
import type { StateDirs } from "./state-dirs.js";
import type { LayerId } from "./tree.js";

/** A layer as the database has it. */
export type LayerRow = {
  readonly id: number;
  /** Being made by its owner; on this disk; or to be fetched. */
  readonly state: "active" | "ready" | "lazy";
  readonly diff_id: Digest | null;
  readonly blob: string | null;
  readonly origin: string | null;
  readonly size_bytes: number;
  readonly created_at: number;
  readonly stamp: string | null;
};

const LAYER_COLUMNS = "id, state, diff_id, blob, origin, size_bytes, created_at, stamp";

export interface LayerRowsOptions {
  readonly database: Database;
  readonly dirs: StateDirs;
  readonly owner: string;
  readonly bootId: string;
  readonly clock: Clock;
}

/** The rows of the layer table, and the places on disk that they stand for. But for `displacing`, to be used in a transaction of the caller's. */
export class LayerRows {
  readonly #options: LayerRowsOptions;
  readonly #database: Database;
  readonly #abandon: (layer: LayerId) => Promise<void>;
  readonly #displaced: LayerId[] = [];

  /** ABANDON throws away a layer that is the engine's own and unfinished. */
  constructor(options: LayerRowsOptions, abandon: (layer: LayerId) => Promise<void>) {
    this.#options = options;
    this.#database = options.database;
    this.#abandon = abandon;
  }

  /** Throws `data-loss` for a number that names none. */
  get(layer: LayerId): LayerRow {
    const row = this.#database.get<LayerRow>(`SELECT ${LAYER_COLUMNS} FROM layer WHERE id = ?`, layer);
    if (!row) throw new EngineError("data-loss", `layer ${layer} is gone`);
    return row;
  }

  /** The layer that has this name by what it and all below it hold. */
  named(chain: Digest): LayerRow | undefined {
    return this.#database.get<LayerRow>(`SELECT ${LAYER_COLUMNS} FROM layer WHERE chain_id = ?`, chain);
  }

  /** A new layer of the engine's own. */
  insertActive(): LayerId {
    const { owner, clock, bootId } = this.#options;
    const insert = "INSERT INTO layer (state, owner, boot_id, created_at) VALUES ('active', ?, ?, ?) RETURNING id";
    return this.inserted(insert, owner, bootId, clock.now());
  }

  /** The number of a new row, whose place is free: a database that was lost, or is older than the layers, gives numbers once more. */
  inserted(insert: string, ...params: readonly SqlValue[]): LayerId {
    for (;;) {
      const row = this.#database.get<{ id: LayerId }>(insert, ...params);
      if (!row) throw new EngineError("internal", "no number for a new layer");
      if (!hasPlace(this.#options.dirs, row.id)) return row.id;
      this.#database.run("DELETE FROM layer WHERE id = ?", row.id);
      const highest = highestPlace(this.#options.dirs);
      this.#database.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'layer'", highest);
    }
  }

  /** Whether a finished layer has visibly lost what it held. */
  isDamaged(layer: LayerId): boolean {
    const select = "SELECT id, stamp FROM layer WHERE id = ? AND state = 'ready'";
    const row = this.#database.get<{ id: LayerId; stamp: string | null }>(select, layer);
    return row !== undefined && !isAsItWas(this.#options.dirs, row);
  }

  /** A layer that is not on this disk any more; what is in its place is now another's, which is to be abandoned. */
  unplace(layer: LayerId): void {
    const { dirs } = this.#options;
    if (hasPlace(dirs, layer)) {
      const rest = this.insertActive();
      movePlace(dirs, layer, rest);
      this.#displaced.push(rest);
    }
    const update = "UPDATE layer SET state = 'lazy', size_bytes = 0, stamp = NULL, shape = NULL WHERE id = ?";
    this.#database.run(update, layer);
  }

  /** Runs WORK as a transaction, and abandons what that displaces; if it fails, what has been moved is nobody's, and goes with a prune. */
  async displacing<T>(work: () => T): Promise<T> {
    const [result, displaced] = await this.#database.transaction(() => {
      this.#displaced.length = 0;
      return [work(), this.#displaced.splice(0)] as const;
    });
    for (const layer of displaced) await this.#abandon(layer);
    return result;
  }
}

/** Every place the layer's blob was seen at, the first ones first. */
export function originsOf(row: LayerRow): readonly string[] {
  return row.origin === null ? [] : (JSON.parse(row.origin) as string[]);
}
