import { statSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type AbortOptions, canceled, EngineError, makeDirectories } from "../base/index.js";
import { connect, isBusy, type SqliteConnection, type SqliteStatement, type SqlValue, translated } from "./sqlite.js";

/** A row by its columns' names. */
export type Row = Readonly<Record<string, SqlValue>>;

/**
 * The metadata, in one SQLite file that several processes share. Errors of all methods: `data-loss` if the file is damaged,
 * `no-space`, `denied`, `unavailable` if another process holds it for too long.
 */
export interface Database {
  /** The first row. Reading doesn't wait for writers. The type of the row is the caller's claim. */
  get<R extends Row>(sql: string, ...params: readonly SqlValue[]): R | undefined;
  all<R extends Row>(sql: string, ...params: readonly SqlValue[]): readonly R[];
  /** Changes something and counts the rows. Outside a transaction it fails with `unavailable` if another process is writing. */
  run(sql: string, ...params: readonly SqlValue[]): { readonly changes: number };
  /**
   * Runs WORK, which is synchronous and uses this database, at most once and as a whole: what it threw is undone. Waits without
   * blocking while other processes write.
   */
  transaction<T>(work: () => T, options?: AbortOptions): Promise<T>;
  close(): void;
}

/** One step of the schema. The step is applied once, within a transaction; its id never changes and is never used again. */
export interface Migration {
  readonly id: string;
  readonly sql: string;
}

/**
 * Opens FILE, which it makes where needed, and brings its schema up to date: MIGRATIONS are applied in order. Everyone opens a
 * file with the same list; `unsupported` if a newer version wrote it.
 */
export async function openDatabase(
  file: string,
  migrations: readonly Migration[],
  options: AbortOptions = {},
): Promise<Database> {
  makeDirectories(path.dirname(file));
  const database = new SqliteDatabase(file, connectOrThrow(file));
  try {
    await patiently(() => database.configure(), file, options);
    if (!isCurrent(database, migrations, file))
      await database.transaction(() => migrate(database, migrations, file), options);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** How long SQLite itself waits, which blocks the thread; then we wait without blocking. Milliseconds. */
const BUSY_TIMEOUT_MS = 50;
/** Tries until another process is given up on: about a minute. */
const BUSY_ATTEMPTS_MAX = 250;
/** Bounds of the pause between tries. Milliseconds. */
const BACK_OFF_MS = { min: 5, max: 200 } as const;

/** The write-ahead log is brought into the database when it holds so many pages: whoever opens the database first reads all of it. */
const LOG_PAGES = 256;
/** What a large transaction has made of the log's file is given back when the log begins anew, or at the end. Bytes. */
const LOG_BYTES_MAX = 2 * 1024 * 1024;

class SqliteDatabase implements Database {
  readonly #file: string;
  readonly #connection: SqliteConnection;
  /** By text. The texts stand in the code, so there is an end to them. */
  readonly #statements = new Map<string, SqliteStatement>();
  #inTransaction = false;

  constructor(file: string, connection: SqliteConnection) {
    this.#file = file;
    this.#connection = connection;
  }

  configure(): void {
    this.exec(
      [
        `PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`,
        "PRAGMA journal_mode=WAL",
        `PRAGMA wal_autocheckpoint=${LOG_PAGES}`,
        `PRAGMA journal_size_limit=${LOG_BYTES_MAX}`,
        "PRAGMA synchronous=NORMAL",
        "PRAGMA foreign_keys=ON",
      ].join("; "),
    );
  }

  get<R extends Row>(sql: string, ...params: readonly SqlValue[]): R | undefined {
    return this.#guarded(() => this.#prepared(sql).get(...params)) as R | undefined;
  }

  all<R extends Row>(sql: string, ...params: readonly SqlValue[]): readonly R[] {
    return this.#guarded(() => this.#prepared(sql).all(...params)) as R[];
  }

  run(sql: string, ...params: readonly SqlValue[]): { readonly changes: number } {
    return this.#guarded(() => ({ changes: Number(this.#prepared(sql).run(...params).changes) }));
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  async transaction<T>(work: () => T, options: AbortOptions = {}): Promise<T> {
    if (this.#inTransaction) throw new EngineError("internal", "a transaction can't hold another one");
    const attempt = (): T => {
      this.exec("BEGIN IMMEDIATE");
      return this.#guarded(() => this.#finish(work));
    };
    return patiently(attempt, this.#file, options);
  }

  close(): void {
    this.#shrinkLog();
    this.#statements.clear();
    this.#connection.close();
  }

  /** SQLite leaves the log where statements are not finalized, which spares ends the wait for the disk. A large one is not worth that. */
  #shrinkLog(): void {
    try {
      const { size } = statSync(`${this.#file}-wal`, { throwIfNoEntry: false }) ?? { size: 0 };
      if (size > LOG_BYTES_MAX) this.#connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all();
    } catch {
      // The next one does it.
    }
  }

  #finish<T>(work: () => T): T {
    this.#inTransaction = true;
    try {
      const result = work();
      if (result instanceof Promise) throw new EngineError("internal", "the work of a transaction must be synchronous");
      this.exec("COMMIT");
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  /** SQLite has undone the transaction itself after some errors, such as a full disk. */
  #rollBack(): void {
    try {
      this.exec("ROLLBACK");
    } catch {
      // The first error tells more.
    }
  }

  #prepared(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #guarded<T>(query: () => T): T {
    try {
      return query();
    } catch (error) {
      throw translated(error, this.#file);
    }
  }
}

function connectOrThrow(file: string): SqliteConnection {
  try {
    return connect(file);
  } catch (error) {
    throw translated(error, file);
  }
}

/** The result of ATTEMPT once it no longer finds the database busy. */
async function patiently<T>(attempt: () => T, file: string, { signal }: AbortOptions): Promise<T> {
  for (let tries = 1; ; tries++) {
    if (signal?.aborted) throw canceled(signal);
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || tries === BUSY_ATTEMPTS_MAX) throw translated(error, file);
    }
    const pause = Math.min(BACK_OFF_MS.min * 2 ** Math.min(tries, 10), BACK_OFF_MS.max);
    await delay(pause, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

function isCurrent(database: Database, migrations: readonly Migration[], file: string): boolean {
  const table = database.get("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'");
  return table !== undefined && missing(database, migrations, file).length === 0;
}

function migrate(database: SqliteDatabase, migrations: readonly Migration[], file: string): void {
  database.exec("CREATE TABLE IF NOT EXISTS schema_migrations (id TEXT PRIMARY KEY) WITHOUT ROWID");
  for (const { id, sql } of missing(database, migrations, file)) {
    database.exec(sql);
    database.run("INSERT INTO schema_migrations (id) VALUES (?)", id);
  }
}

/** The migrations the file lacks. */
function missing(database: Database, migrations: readonly Migration[], file: string): readonly Migration[] {
  const applied = database.all<{ id: string }>("SELECT id FROM schema_migrations").map(({ id }) => id);
  const unknown = applied.find((id) => !migrations.some((migration) => migration.id === id));
  if (unknown !== undefined) {
    throw new EngineError(
      "unsupported",
      `the metadata database ${file} was written by a newer version (it has ${unknown})`,
      {
        hint: "Use that version, or another state directory.",
      },
    );
  }
  return migrations.filter(({ id }) => !applied.includes(id));
}
