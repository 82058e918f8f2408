import fs from "node:fs";
import { EngineError } from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";
import { DamagedDatabase, type Database } from "../store/index.js";
import { isAlone } from "./sweep.js";

/**
 * The database that OPEN opens; a damaged one is removed first, with all that it knew, so that it is an empty one. Throws `unavailable` while
 * somebody else works with that. OWNER is this engine.
 */
export async function openSound(open: () => Promise<Database>, dirs: StateDirs, owner: string): Promise<Database> {
  const sound = await opened(open);
  if (sound) return sound;
  if (!isAlone(dirs, owner)) {
    throw new EngineError("unavailable", `the metadata database ${dirs.database} is damaged, and in use`, {
      hint: "end the other builds on it first",
    });
  }
  for (const suffix of ["-wal", "-shm", ""]) fs.rmSync(dirs.database + suffix, { force: true });
  return open();
}

/** Undefined for a database that is damaged. */
async function opened(open: () => Promise<Database>): Promise<Database | undefined> {
  let database: Database | undefined;
  try {
    database = await open();
    const said = database.all<{ quick_check: string }>("PRAGMA quick_check");
    if (said.every(({ quick_check: each }) => each === "ok")) return database;
  } catch (error) {
    if (!(error instanceof DamagedDatabase)) throw error;
  }
  database?.close();
  return undefined;
}
