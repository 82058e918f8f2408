import type { Migration } from "../store/index.js";

/**
 * Layers: `active` while they are made, `ready` when committed, `lazy` when known (of an image) but not on this disk.
 * `stamp` and `shape` tell whether a ready one is what it was (see LayerSummary); they are NULL where they were never noted.
 * A lease keeps its target from being pruned while its owner (see owner.ts; an owner may lease for several builds) lives.
 */
export const layerMigrations: readonly Migration[] = [
  {
    id: "layer-1",
    sql: `CREATE TABLE layer (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     state TEXT NOT NULL CHECK (state IN ('active', 'ready', 'lazy')),
     chain_id TEXT UNIQUE,
     diff_id TEXT,
     blob TEXT,
     origin TEXT,
     size_bytes INTEGER NOT NULL DEFAULT 0,
     owner TEXT,
     boot_id TEXT,
     durable INTEGER NOT NULL DEFAULT 0,
     created_at INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE layer_blob (
     layer INTEGER NOT NULL REFERENCES layer (id) ON DELETE CASCADE,
     variant TEXT NOT NULL,
     descriptor TEXT NOT NULL,
     PRIMARY KEY (layer, variant)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE tree_content (
     tree TEXT NOT NULL,
     selector TEXT NOT NULL,
     digest TEXT NOT NULL,
     top INTEGER NOT NULL REFERENCES layer (id) ON DELETE CASCADE,
     PRIMARY KEY (tree, selector)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX tree_content_top ON tree_content (top);
   CREATE TABLE lease (
     owner TEXT NOT NULL,
     build TEXT NOT NULL,
     kind TEXT NOT NULL CHECK (kind IN ('layer', 'record')),
     target TEXT NOT NULL,
     PRIMARY KEY (build, kind, target)
   ) STRICT, WITHOUT ROWID;`,
  },
  { id: "layer-2", sql: "ALTER TABLE layer ADD COLUMN stamp TEXT; ALTER TABLE layer ADD COLUMN shape TEXT" },
];
