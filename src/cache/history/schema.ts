import type { Migration } from "../../store/index.js";

/**
 * What steps were made of when they ran. A part is a text under its digest (a step, its variables, a directory of a selection, the steps of a stage) and `refs`
 * the digests, as a JSON array, of those it names: what steps and builds have in common is kept once. `history_tree` says which directories
 * a selection is, by its content digest. `history_size` counts the parts, the UTF-16 units of their bodies, and how many parts the last sweep
 * left. `history_build` has a row for each way in which a Dockerfile was built: `stages` names of each stage the part with its steps; `state`
 * tells apart what the builds at one place were made of, and the later one has the higher id.
 */
export const historyMigrations: readonly Migration[] = [
  {
    id: "history-1",
    sql: `CREATE TABLE history_part (
     digest TEXT NOT NULL UNIQUE,
     body TEXT NOT NULL,
     refs TEXT NOT NULL
   ) STRICT;
   CREATE TABLE history_tree (
     content TEXT PRIMARY KEY,
     roots TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE history_size (
     parts INTEGER NOT NULL,
     length INTEGER NOT NULL,
     parts_kept INTEGER NOT NULL
   ) STRICT;
   INSERT INTO history_size VALUES (0, 0, 0);
   CREATE TABLE history_build (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     context TEXT NOT NULL,
     dockerfile TEXT NOT NULL,
     text TEXT NOT NULL,
     at INTEGER NOT NULL,
     stages TEXT NOT NULL,
     key TEXT
   ) STRICT;
   CREATE INDEX history_build_dockerfile ON history_build (dockerfile);`,
  },
  {
    id: "history-2",
    sql: `DELETE FROM history_build;
   DELETE FROM history_part;
   DELETE FROM history_tree;
   UPDATE history_size SET parts = 0, length = 0, parts_kept = 0;
   ALTER TABLE history_build DROP COLUMN key;
   ALTER TABLE history_build ADD COLUMN state TEXT;`,
  },
];
