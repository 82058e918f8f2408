import type { AbortOptions, Clock } from "../base/index.js";
import { type Descriptor, encodeDescriptor, formatReference, parseDescriptor, type Reference } from "../oci/index.js";
import type { Database, Migration } from "./database.js";

/** What references in registries stood for when they were last asked about, so that a build needn't ask again. */
export interface ReferenceStore {
  get(reference: Reference): ResolvedReference | undefined;
  put(reference: Reference, target: Descriptor, options?: AbortOptions): Promise<void>;
  /** All of them, by name. */
  list(): readonly ResolvedReference[];
  /** Forgets one by its full name; nothing happens if it isn't known. */
  remove(name: string, options?: AbortOptions): Promise<void>;
}

export interface ResolvedReference {
  /** The reference in full: `docker.io/library/alpine:3`. */
  readonly name: string;
  /** The manifest or index. */
  readonly target: Descriptor;
  /** Milliseconds since the epoch. */
  readonly resolvedAt: number;
}

/** The schema `createReferenceStore` needs. */
export const referenceStoreMigrations: readonly Migration[] = [
  {
    id: "references-1",
    sql: "CREATE TABLE resolved_references (name TEXT PRIMARY KEY, target TEXT NOT NULL, resolved_at INTEGER NOT NULL) WITHOUT ROWID;",
  },
];

/** The reference store in DATABASE, which was opened with `referenceStoreMigrations`. */
export function createReferenceStore(database: Database, clock: Clock): ReferenceStore {
  return {
    get(reference) {
      const name = formatReference(reference);
      const row = database.get<Row>("SELECT name, target, resolved_at FROM resolved_references WHERE name = ?", name);
      return row && load(row);
    },
    put: (reference, target, options) =>
      database.transaction(() => {
        database.run(
          "INSERT OR REPLACE INTO resolved_references (name, target, resolved_at) VALUES (?, ?, ?)",
          formatReference(reference),
          encodeDescriptor(target),
          clock.now(),
        );
      }, options),
    list: () => database.all<Row>("SELECT name, target, resolved_at FROM resolved_references ORDER BY name").map(load),
    remove: (name, options) =>
      database.transaction(() => {
        database.run("DELETE FROM resolved_references WHERE name = ?", name);
      }, options),
  };
}

type Row = { readonly name: string; readonly target: string; readonly resolved_at: number };

function load(row: Row): ResolvedReference {
  return { name: row.name, target: parseDescriptor(row.target), resolvedAt: row.resolved_at };
}
