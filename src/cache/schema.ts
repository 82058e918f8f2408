import type { Migration } from "../store/index.js";

/**
 * Keys name records, newest (highest `seq`) first. `preimage` is the text a key is the digest of. A record's `results` are its outputs as
 * JSON arrays of layer numbers; `record_layer` repeats them so that a layer's users are found. A tombstone
 * tells when and why a record was removed.
 */
export const cacheMigrations: readonly Migration[] = [
  {
    id: "cache-1",
    sql: `CREATE TABLE record (
     id TEXT PRIMARY KEY,
     content_key TEXT NOT NULL,
     results TEXT NOT NULL,
     description TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     used_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE cache_key (
     key TEXT PRIMARY KEY,
     preimage TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE key_record (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     key TEXT NOT NULL REFERENCES cache_key (key) ON DELETE CASCADE,
     record TEXT NOT NULL REFERENCES record (id) ON DELETE CASCADE,
     UNIQUE (key, record)
   ) STRICT;
   CREATE INDEX key_record_record ON key_record (record);
   CREATE TABLE record_layer (
     record TEXT NOT NULL REFERENCES record (id) ON DELETE CASCADE,
     layer INTEGER NOT NULL,
     PRIMARY KEY (record, layer)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX record_layer_layer ON record_layer (layer);`,
  },
  {
    id: "cache-2",
    sql: `CREATE TABLE tombstone (
     content_key TEXT PRIMARY KEY,
     at INTEGER NOT NULL,
     reason TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX tombstone_at ON tombstone (at);`,
  },
];
