import type { AbortOptions, Clock, Digest } from "../base/index.js";
import type { Database, Migration } from "../store/index.js";

/** What a server said of a body: enough to ask whether it is still the same, and to know which it was. */
export interface HttpEntity {
  /** As the server wrote it, but for the mark of a weak one. */
  readonly etag: string;
  /** Of the body, unpacked as it was sent. */
  readonly digest: Digest;
  /** The header, where there was one. */
  readonly lastModified: string | undefined;
}

/** The bodies that addresses were last seen with. An address is known by a digest, since it may hold a password. */
export interface HttpEntities {
  /** Newest first. */
  list(address: Digest): readonly HttpEntity[];
  put(address: Digest, entity: HttpEntity, options?: AbortOptions): Promise<void>;
  /** Forgets all of them. */
  clear(options?: AbortOptions): Promise<void>;
}

/** The schema `createHttpEntities` needs. */
export const httpEntityMigrations: readonly Migration[] = [
  {
    id: "http-entity-1",
    sql: `CREATE TABLE http_entity (
     address TEXT NOT NULL,
     etag TEXT NOT NULL,
     digest TEXT NOT NULL,
     last_modified TEXT,
     seen_at INTEGER NOT NULL,
     PRIMARY KEY (address, etag)
   ) STRICT, WITHOUT ROWID`,
  },
];

/** Bodies remembered of one address, so that one that comes back is known again, and addresses remembered at all. */
const ENTITIES_MAX = 4;
const ROWS_MAX = 10_000;

/** The entities in DATABASE, which was opened with `httpEntityMigrations`. */
export function createHttpEntities(database: Database, clock: Clock): HttpEntities {
  const list = (address: Digest) =>
    database
      .all<Row>("SELECT etag, digest, last_modified FROM http_entity WHERE address = ? ORDER BY seen_at DESC", address)
      .map((row) => ({ etag: row.etag, digest: row.digest, lastModified: row.last_modified ?? undefined }));
  return {
    list,
    put: (address, { etag, digest, lastModified }, options) =>
      database.transaction(() => {
        database.run(
          "INSERT OR REPLACE INTO http_entity (address, etag, digest, last_modified, seen_at) VALUES (?, ?, ?, ?, ?)",
          ...[address, etag, digest, lastModified ?? null, clock.now()],
        );
        for (const old of list(address).slice(ENTITIES_MAX))
          database.run("DELETE FROM http_entity WHERE address = ? AND etag = ?", address, old.etag);
        database.run(
          "DELETE FROM http_entity WHERE seen_at < (SELECT seen_at FROM http_entity ORDER BY seen_at DESC LIMIT 1 OFFSET ?)",
          ROWS_MAX,
        );
      }, options),
    clear: (options) => database.transaction(() => void database.run("DELETE FROM http_entity"), options),
  };
}

type Row = { readonly etag: string; readonly digest: Digest; readonly last_modified: string | null };
