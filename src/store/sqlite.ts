import { statfsSync } from "node:fs";
import path from "node:path";
import { EngineError, type ErrorCode, loadAddon, messageOf } from "../base/index.js";

/** The part of node:sqlite's API that we use; @photostructure/sqlite has the same. */
export interface SqliteConnection {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteStatement {
  get(...params: SqlValue[]): unknown;
  all(...params: SqlValue[]): unknown[];
  run(...params: SqlValue[]): { readonly changes: number | bigint };
}

export type SqlValue = string | number | bigint | null | Uint8Array;

/** Connects to the file. Node's own SQLite where there is one, else the package; neither is loaded before the first call. */
export function connect(file: string): SqliteConnection {
  const { DatabaseSync } = load();
  return new DatabaseSync(file);
}

/** Whether another connection was in the way. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === SQLITE.busy || code === SQLITE.locked;
}

/** The database can't be read any more. */
export class DamagedDatabase extends EngineError {
  constructor(file: string, cause: unknown) {
    super("data-loss", `the metadata database ${file} is damaged: ${messageOf(cause)}`, {
      cause,
      hint: "`ashlar prune --all` puts a new one in its place; the images that it named have to be built or pulled again",
    });
  }
}

/** What SQLite's error means to us, with the FILE in the sentence. Other errors come back as they are. */
export function translated(error: unknown, file: string): unknown {
  const result = resultCode(error);
  if (result === undefined) return error;
  const fail = (code: ErrorCode, sentence: string, hint?: string): EngineError =>
    new EngineError(code, sentence, { cause: error, ...(hint === undefined ? {} : { hint }) });
  switch (result) {
    case SQLITE.corrupt:
    case SQLITE.notADatabase:
      return new DamagedDatabase(file, error);
    case SQLITE.full:
      return noSpace(file, error);
    case SQLITE.busy:
    case SQLITE.locked:
      return fail("unavailable", `the metadata database ${file} is locked by another process`);
    case SQLITE.permission:
    case SQLITE.readOnly:
      return fail("denied", `writing the metadata database ${file}: ${messageOf(error)}`);
    case SQLITE.ioError:
    case SQLITE.cannotOpen:
      if (!hasRoom(file)) return noSpace(file, error);
      return fail("failed", `using the metadata database ${file}: ${messageOf(error)}`);
    default:
      return fail("internal", `querying the metadata database ${file}: ${messageOf(error)}`);
  }
}

function noSpace(file: string, cause: unknown): EngineError {
  return new EngineError("no-space", `writing the metadata database ${file}: no space left on the disk`, { cause });
}

/** What SQLite asks for at once, for what the connections to a database share. Bytes. */
const SHARED_MEMORY_BYTES = 32_768;

/** That there is none for its files beside the database, SQLite says in other words. */
function hasRoom(file: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path.dirname(file));
    return bavail * bsize >= SHARED_MEMORY_BYTES;
  } catch {
    return true;
  }
}

/** Primary result codes (https://www.sqlite.org/rescode.html). */
const SQLITE = {
  permission: 3,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** SQLite's own texts for its result codes (sqlite3_errstr), since the package gives some errors without their code. */
const RESULT_TEXTS: ReadonlyMap<string, number> = new Map([
  ["database is locked", SQLITE.busy],
  ["database table is locked", SQLITE.locked],
  ["attempt to write a readonly database", SQLITE.readOnly],
  ["disk I/O error", SQLITE.ioError],
  ["database disk image is malformed", SQLITE.corrupt],
  ["database or disk is full", SQLITE.full],
  ["unable to open database file", SQLITE.cannotOpen],
  ["file is not a database", SQLITE.notADatabase],
]);
/** Stands for an error of SQLite's whose code isn't known. */
const UNKNOWN_RESULT = 1;

/** The primary result code of an error that SQLite raised. */
function resultCode(error: unknown): number | undefined {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown };
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  return typeof errcode === "number" ? errcode & 0xff : (RESULT_TEXTS.get(messageOf(error)) ?? UNKNOWN_RESULT);
}

interface SqliteModule {
  readonly DatabaseSync: new (file: string) => SqliteConnection;
}

let loaded: SqliteModule | undefined;

function load(): SqliteModule {
  loaded ??= builtin() ?? (loadAddon(PACKAGE) as SqliteModule);
  return loaded;
}

const PACKAGE = {
  name: "@photostructure/sqlite",
  file: `@photostructure/sqlite/prebuilds/linux-${process.arch}/@photostructure+sqlite.glibc.node`,
};

/** Node 22 and 24 announce on standard error that their SQLite is experimental; users of a build tool need not know. */
function builtin(): SqliteModule | undefined {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule?.("node:sqlite") as SqliteModule | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}
