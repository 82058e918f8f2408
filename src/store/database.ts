import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import path from "node:path";
import { type AbortOptions, EngineError, makeDirectories, systemCode } from "../base/index.js";
import { Patience, type PatienceOptions, type WaitingOptions } from "./patience.js";
import { connect, type SqliteConnection, type SqliteStatement, type SqlValue, translated } from "./sqlite.js";

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
  transaction<T>(work: () => T, options?: PatienceOptions): Promise<T>;
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
  options: AbortOptions & WaitingOptions = {},
): Promise<Database> {
  makeDirectories(path.dirname(file));
  keepPrivate(file);
  const database = new SqliteDatabase(file, connectOrThrow(file), new Patience(file, options));
  try {
    await database.configure(options);
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

/** The write-ahead log is brought into the database when it holds so many pages: whoever opens the database first reads all of it. */
const LOG_PAGES = 256;
/** What a large transaction has made of the log's file is given back when the log begins anew, or at the end. Bytes. */
const LOG_BYTES_MAX = 2 * 1024 * 1024;

class SqliteDatabase implements Database {
  readonly #file: string;
  readonly #connection: SqliteConnection;
  /** By text. The texts stand in the code, so there is an end to them. */
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #patience: Patience;
  #inTransaction = false;

  constructor(file: string, connection: SqliteConnection, patience: Patience) {
    this.#file = file;
    this.#connection = connection;
    this.#patience = patience;
  }

  configure(options: AbortOptions): Promise<void> {
    const settings = [
      `PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`,
      "PRAGMA journal_mode=WAL",
      `PRAGMA wal_autocheckpoint=${LOG_PAGES}`,
      `PRAGMA journal_size_limit=${LOG_BYTES_MAX}`,
      "PRAGMA synchronous=NORMAL",
      "PRAGMA foreign_keys=ON",
    ].join("; ");
    return this.#patience.until(() => this.exec(settings), options);
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

  async transaction<T>(work: () => T, options: PatienceOptions = {}): Promise<T> {
    if (this.#inTransaction) throw new EngineError("internal", "a transaction can't hold another one");
    const attempt = (): T => {
      this.exec("BEGIN IMMEDIATE");
      return this.#guarded(() => this.#finish(work));
    };
    return this.#patience.until(attempt, options);
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

const OWNER_ONLY = 0o600;

/**
 * Makes FILE, which tells what was built of what, its user's own, with the files that SQLite puts beside it: they get its mode. None is
 * opened: closing it again would end locks that this process has on it (https://sqlite.org/howtocorrupt.html, "Posix advisory locks").
 */
function keepPrivate(file: string): void {
  if (!statSync(file, { throwIfNoEntry: false })) makeFile(file);
  for (const each of [file, `${file}-wal`, `${file}-shm`]) {
    const mode = statSync(each, { throwIfNoEntry: false })?.mode ?? OWNER_ONLY;
    if ((mode & ~OWNER_ONLY & 0o777) !== 0) chmodIfThere(each);
  }
}

/** Nobody has it open yet, so that it may be closed. */
function makeFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", OWNER_ONLY));
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

/** Others may just have taken it away; what can't be changed is used as it is, if it can be. */
function chmodIfThere(file: string): void {
  try {
    chmodSync(file, OWNER_ONLY);
  } catch (error) {
    if (systemCode(error) !== "ENOENT" && systemCode(error) !== "EPERM") throw error;
  }
}

function connectOrThrow(file: string): SqliteConnection {
  try {
    return connect(file);
  } catch (error) {
    throw translated(error, file);
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
