import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EngineError } from "../../src/base/index.js";
import { keepReserve, withReserve } from "../../src/engine/reserve.js";
import { sweepTemporary } from "../../src/engine/sweep.js";
import { createOwner, deadOwners, type StateDirs, stateDirs } from "../../src/snapshot/index.js";

let dirs: StateDirs;

beforeEach(() => {
  dirs = stateDirs(fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-sweep-")));
  for (const directory of [dirs.tmp, dirs.owners, dirs.layers, dirs.contexts]) fs.mkdirSync(directory);
});
afterEach(() => fs.rmSync(dirs.root, { recursive: true }));

const [OWN, LIVING, DEAD] = ["1-11111111-a", "2-22222222-b", "3-33333333-c"] as const;

function leave(...files: readonly string[]): void {
  for (const file of files) fs.mkdirSync(path.join(dirs.root, file));
}

test("temporary files go with their owner; what tells no owner waits until nobody else is there", () => {
  using _ = createOwner(dirs.owners, OWN);
  const living = createOwner(dirs.owners, LIVING);
  leave(
    `tmp/${OWN}-outputs`,
    `tmp/${LIVING}-import-x`,
    `tmp/${DEAD}-archive-y`,
    "tmp/context-z",
    "layers/probe-1",
    "layers/7",
  );
  sweepTemporary(dirs, OWN);
  expect(fs.readdirSync(dirs.tmp)).toEqual([`${OWN}-outputs`, `${LIVING}-import-x`, "context-z"]);
  expect(fs.readdirSync(dirs.layers)).toEqual(["7", "probe-1"]);
  living[Symbol.dispose]();
  sweepTemporary(dirs, OWN);
  expect(fs.readdirSync(dirs.tmp)).toEqual([`${OWN}-outputs`]);
  expect(fs.readdirSync(dirs.layers)).toEqual(["7"]);
});

test("an owner's file that was left before it had its name is found when it is old", () => {
  const file = path.join(dirs.owners, ".new-4-44444444-d");
  fs.writeFileSync(file, "");
  const { mtimeMs } = fs.statSync(file);
  expect(deadOwners(dirs.owners, { now: () => mtimeMs + 1000 })).toEqual([]);
  expect(deadOwners(dirs.owners, { now: () => mtimeMs + 120_000 })).toEqual([".new-4-44444444-d"]);
});

test("what makes room on a full disk is tried again with as much of the reserve as it takes", async () => {
  keepReserve(dirs);
  const reserve = path.join(dirs.root, "reserve");
  expect(fs.statSync(reserve).size).toBe(2 ** 20);
  const needsReserve = async () => {
    if (fs.existsSync(reserve)) throw new EngineError("no-space", "no space left");
    return "made";
  };
  const needsSome = async () => {
    if (fs.statSync(reserve).size > 2 ** 19) throw new EngineError("no-space", "no space left");
    return "made";
  };
  expect(await withReserve(dirs, needsSome)).toBe("made");
  expect(fs.statSync(reserve).size).toBe(2 ** 19);
  expect(await withReserve(dirs, needsReserve)).toBe("made");
  fs.writeFileSync(path.join(dirs.contexts, "a"), "");
  const needsContexts = async () => {
    if (fs.readdirSync(dirs.contexts).length > 0) throw new EngineError("no-space", "no space left");
    return "made";
  };
  expect(await withReserve(dirs, needsContexts)).toBe("made");
  await expect(withReserve(dirs, () => Promise.reject(new EngineError("no-space", "still none")))).rejects.toThrow(
    "still none",
  );
  keepReserve(dirs);
  await expect(withReserve(dirs, () => Promise.reject(new EngineError("denied", "no")))).rejects.toThrow("no");
  expect(fs.existsSync(reserve)).toBe(true);
});
