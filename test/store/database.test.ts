import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Database, LockedDatabase, type Migration, openDatabase } from "../../src/store/index.js";

const first: Migration = { id: "first", sql: "CREATE TABLE words (word TEXT PRIMARY KEY, number INTEGER)" };
const second: Migration = { id: "second", sql: "ALTER TABLE words ADD COLUMN more BLOB; CREATE TABLE other (x)" };

let root: string;
let file: string;
let opened: Database[];
const open = async (migrations: readonly Migration[] = [first]): Promise<Database> => {
  const database = await openDatabase(file, migrations);
  opened.push(database);
  return database;
};
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "database-"));
  file = path.join(root, "deep", "metadata.db");
  opened = [];
});
afterEach(async () => {
  for (const database of opened) database.close();
  await rm(root, { recursive: true, force: true });
});
const words = (database: Database): readonly string[] =>
  database.all<{ word: string }>("SELECT word FROM words ORDER BY word").map(({ word }) => word);
const add = (database: Database, word: string) => database.run("INSERT INTO words (word) VALUES (?)", word);

describe("openDatabase", () => {
  it("makes the file, waits for the disk as seldom as is safe, and keeps what is written", async () => {
    const database = await open();
    expect(database.get("PRAGMA journal_mode")).toEqual({ journal_mode: "wal" });
    expect(database.get("PRAGMA synchronous")).toEqual({ synchronous: 1 });
    expect(database.get("PRAGMA busy_timeout")).toEqual({ timeout: 50 });
    expect(add(database, "a")).toEqual({ changes: 1 });
    expect(words(await open())).toEqual(["a"]);
  });

  it("is read by nobody else, though it once could be", async () => {
    const modes = async () => {
      const files = [file, `${file}-wal`, `${file}-shm`];
      return (await Promise.all(files.map((each) => stat(each)))).map(({ mode }) => mode & 0o777);
    };
    add(await open(), "a");
    expect(await modes()).toEqual([0o600, 0o600, 0o600]);
    for (const each of [file, `${file}-wal`, `${file}-shm`]) await chmod(each, 0o644);
    await open();
    expect(await modes()).toEqual([0o600, 0o600, 0o600]);
  });

  it("applies each migration once, also those that came later", async () => {
    add(await open([first]), "a");
    await open([first]);
    const database = await open([first, second]);
    expect(database.get("SELECT word, more FROM words")).toEqual({ word: "a", more: null });
    expect(words(await open([first, second]))).toEqual(["a"]);
  });

  it("undoes a migration that fails", async () => {
    await expect(open([first, { id: "bad", sql: "CREATE TABLE x (y); nonsense" }])).rejects.toMatchObject({
      code: "internal",
    });
    expect((await open([first])).get("SELECT count(*) AS n FROM sqlite_master WHERE name = 'x'")).toEqual({ n: 0 });
  });

  it("refuses what a newer version wrote", async () => {
    await open([first, second]);
    await expect(open([first])).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("newer version"),
    });
  });

  it("can be done by many at once", async () => {
    await Promise.all(Array.from({ length: 8 }, () => open([first, second])));
    expect(words(await open([first, second]))).toEqual([]);
  });

  it("says which file is damaged and what to do", async () => {
    (await open()).get("PRAGMA wal_checkpoint(TRUNCATE)");
    await writeFile(file, "x".repeat(10_000));
    await expect(open()).rejects.toMatchObject({
      code: "data-loss",
      message: expect.stringContaining(file),
      hint: expect.stringContaining("ashlar prune --all"),
    });
  });

  it("says so too when the damage shows later", async () => {
    const database = await open();
    await database.transaction(() => {
      for (let number = 0; number < 5000; number++) add(database, `word ${number}`);
    });
    database.get("PRAGMA wal_checkpoint(TRUNCATE)");
    await truncate(file, 8192);
    const reopened = await open();
    expect(() => words(reopened)).toThrow(expect.objectContaining({ code: "data-loss" }));
  });
});

describe("transaction", () => {
  it("is kept as a whole or not at all", async () => {
    const database = await open();
    const failing = database.transaction(() => {
      add(database, "a");
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await database.transaction(() => add(database, "b"))).toEqual({ changes: 1 });
    expect(words(database)).toEqual(["b"]);
  });

  it("refuses work that is not synchronous, and another transaction inside", async () => {
    const database = await open();
    await expect(database.transaction(async () => add(database, "a"))).rejects.toMatchObject({ code: "internal" });
    await expect(
      database.transaction(() => void database.transaction(() => 1).catch(() => 0)),
    ).resolves.toBeUndefined();
    expect(words(database)).toEqual([]);
  });

  it("can be asked for many times at once", async () => {
    const database = await open();
    await Promise.all(
      Array.from({ length: 50 }, (_, number) => database.transaction(() => add(database, String(number)))),
    );
    expect(words(database)).toHaveLength(50);
  });

  it("waits while another connection writes, without blocking, and gives up when told to", async () => {
    const database = await open();
    const other = await open();
    other.run("BEGIN IMMEDIATE");
    const controller = new AbortController();
    const given = database.transaction(() => add(database, "never"), { signal: controller.signal });
    const waiting = database.transaction(() => add(database, "a"));
    expect(() => add(database, "b")).toThrow(expect.objectContaining({ code: "unavailable" }));
    controller.abort();
    await expect(given).rejects.toMatchObject({ code: "canceled" });
    other.run("COMMIT");
    await waiting;
    expect(words(database)).toEqual(["a"]);
  });

  it("doesn't wait for long where the caller is in a hurry, or has little patience", async () => {
    const database = await open();
    const hurried = await openDatabase(file, [first], { isHurried: () => true });
    opened.push(hurried);
    database.run("BEGIN IMMEDIATE");
    const held = { code: "unavailable", message: expect.stringMatching(/is locked by /) };
    await expect(hurried.transaction(() => add(hurried, "never"))).rejects.toMatchObject(held);
    const impatient = await open();
    await expect(impatient.transaction(() => add(impatient, "never"), { patienceMs: 1 })).rejects.toMatchObject(held);
    database.run("COMMIT");
    await hurried.transaction(() => add(hurried, "a"));
    expect(words(database)).toEqual(["a"]);
  });

  it("gives up once: who comes right after that doesn't wait as long again, and who gets the database ends that", async () => {
    const holder = await open();
    const told: string[] = [];
    const patienceMs = 3000;
    const onWait = () => (failure?: Error) => void told.push(failure?.message ?? "over");
    const database = await openDatabase(file, [first], { patienceMs, onWait });
    opened.push(database);
    const locked = new LockedDatabase(file);
    const waits = () => database.transaction(() => add(database, "never"));
    const elapsed = async () => {
      const since = performance.now();
      await expect(waits()).rejects.toThrow(locked);
      return performance.now() - since;
    };
    holder.run("BEGIN IMMEDIATE");
    const [long] = await Promise.all([elapsed(), elapsed()]);
    expect(await elapsed()).toBeLessThan(long);
    expect(told).toEqual([locked.message]);
    holder.run("COMMIT");
    await database.transaction(() => add(database, "a"));
    holder.run("BEGIN IMMEDIATE");
    expect(await elapsed()).toBeGreaterThan(patienceMs);
    expect(told).toEqual([locked.message, locked.message]);
    holder.run("COMMIT");
    expect(words(database)).toEqual(["a"]);
  });

  it("tells who is waited for after a while, once for all that wait, and when that is over", async () => {
    await open();
    const script = `
      const { DatabaseSync } = require("@photostructure/sqlite");
      const database = new DatabaseSync(process.argv[1]);
      database.exec("BEGIN IMMEDIATE");
      process.stdin.once("data", () => process.exit());
      console.log("held");`;
    const child = spawn(process.execPath, ["-e", script, file], { stdio: ["pipe", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const told: string[] = [];
    const database = await openDatabase(file, [first], {
      onWait(holder) {
        told.push(holder);
        child.stdin.write("end");
        return (failure) => void told.push(failure?.message ?? "over");
      },
    });
    opened.push(database);
    await Promise.all(["a", "b", "c"].map((word) => database.transaction(() => add(database, word))));
    expect(told).toEqual([`process ${child.pid} (node)`, "over"]);
    expect(words(database)).toEqual(["a", "b", "c"]);
  });

  it("says that the disk is full, and can go on", async () => {
    const database = await open();
    const { page_count: pages } = database.get<{ page_count: number }>("PRAGMA page_count") ?? { page_count: 0 };
    database.get(`PRAGMA max_page_count=${pages + 2}`);
    const large = database.transaction(() => database.run("INSERT INTO words VALUES (?, 1)", "x".repeat(100_000)));
    await expect(large).rejects.toMatchObject({ code: "no-space" });
    await database.transaction(() => add(database, "a"));
    expect(words(database)).toEqual(["a"]);
  });

  it("loses nothing that was acknowledged when its process is killed", async () => {
    const database = await open();
    const script = `
      const { DatabaseSync } = require("@photostructure/sqlite");
      const database = new DatabaseSync(process.argv[1]);
      database.exec("PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000");
      const insert = database.prepare("INSERT INTO words (word) VALUES (?)");
      const step = (number) => { insert.run("w" + number); process.stdout.write(number + "\\n", () => step(number + 1)); };
      step(0);`;
    const child = spawn(process.execPath, ["-e", script, file], { stdio: ["ignore", "pipe", "inherit"] });
    let acknowledged = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (acknowledged === 200) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect(words(database).length).toBeGreaterThan(acknowledged);
  });
});

describe("the log", () => {
  const LOG_BYTES_MAX = 2 * 1024 * 1024;
  const logBytes = async () => (await stat(`${file}-wal`)).size;
  const addMuch = (database: Database, name: string) =>
    database.transaction(() => {
      for (let i = 0; i < 3000; i++) add(database, `${name}-${i}-${"x".repeat(2000)}`);
    });

  it("doesn't keep the size that a large transaction gave it", async () => {
    const database = await open();
    await addMuch(database, "a");
    expect(await logBytes()).toBeGreaterThan(LOG_BYTES_MAX);
    for (const word of ["b", "c", "d"]) await database.transaction(() => add(database, word));
    expect(await logBytes()).toBeLessThanOrEqual(LOG_BYTES_MAX);
  });

  it("is small when everybody has closed the database, however much the last one wrote", async () => {
    const database = await openDatabase(file, [first]);
    await addMuch(database, "a");
    database.close();
    expect(await logBytes().catch(() => 0)).toBe(0);
    expect(words(await open())).toHaveLength(3000);
  });
});

describe("queries", () => {
  it("give null, numbers, text and bytes as they are", async () => {
    const database = await open([first, second]);
    database.run("INSERT INTO words VALUES (?, ?, ?)", "a", 3, Uint8Array.of(0, 255));
    expect(database.get("SELECT * FROM words WHERE word = ?", "a")).toEqual({
      word: "a",
      number: 3,
      more: Uint8Array.of(0, 255),
    });
    expect(database.get("SELECT * FROM words WHERE word = ?", "b")).toBeUndefined();
  });

  it("name the file when the SQL is wrong", async () => {
    const database = await open();
    expect(() => database.get("nonsense")).toThrow(
      expect.objectContaining({ code: "internal", message: expect.stringContaining(file) }),
    );
  });
});
