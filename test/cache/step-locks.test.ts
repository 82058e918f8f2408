import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { createStepLocks } from "../../src/cache/index.js";
import { stateDirs } from "../../src/snapshot/index.js";
import { findProgram } from "../e2e/world.js";

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-locks-"));
});
afterEach(() => fs.rmSync(root, { recursive: true }));

const KEY = digestOf("a step");
const unwaited = { onWait: () => expect.unreachable("it waits") };

test("one engine at a time has the lock of a key, and others are free", async () => {
  using one = createStepLocks(stateDirs(root));
  using two = createStepLocks(stateDirs(root));
  const held = await one.take(KEY, unwaited);
  const other = await two.take(digestOf("another step"), unwaited);
  let waited = 0;
  const waiting = two.take(KEY, { onWait: () => waited++ });
  expect(waited).toBe(1);
  held[Symbol.dispose]();
  const second = await waiting;
  expect(waited).toBe(1);
  second[Symbol.dispose]();
  other[Symbol.dispose]();
  (await one.take(KEY, unwaited))[Symbol.dispose]();
});

test("waiting can be canceled, and an engine that closes gives back its locks", async () => {
  const one = createStepLocks(stateDirs(root));
  using two = createStepLocks(stateDirs(root));
  await one.take(KEY, unwaited);
  const stop = new AbortController();
  const waiting = two.take(KEY, { signal: stop.signal, onWait: () => stop.abort() });
  await expect(waiting).rejects.toMatchObject({ code: "canceled" });
  one[Symbol.dispose]();
  (await two.take(KEY, unwaited))[Symbol.dispose]();
});

test("a thousand locks leave one empty file, and neighbours stay locked when one is given back", async () => {
  using one = createStepLocks(stateDirs(root));
  using two = createStepLocks(stateDirs(root));
  const keys = Array.from({ length: 1000 }, (_, i) => digestOf(`step ${i}`));
  const locks = await Promise.all(keys.map((key) => one.take(key, unwaited)));
  locks[500]?.[Symbol.dispose]();
  (await two.take(keys[500] ?? KEY, unwaited))[Symbol.dispose]();
  const stop = new AbortController();
  const waiting = two.take(keys[501] ?? KEY, { signal: stop.signal, onWait: () => stop.abort() });
  await expect(waiting).rejects.toMatchObject({ code: "canceled" });
  expect(fs.readdirSync(root)).toEqual(["steps.lock"]);
  expect(fs.statSync(path.join(root, "steps.lock")).size).toBe(0);
});

test("a process that holds a lock is named, also when it is stopped meanwhile, and holds none any more once it is killed", async (context) => {
  if (!findProgram("python3")) context.skip("python3, which takes the lock in another process, is not installed");
  const script = `
import fcntl, struct, sys, time
file = open(sys.argv[1], "a+")
at = int(sys.argv[2], 16)
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", 1, 0, at, 1, 0))
fcntl.fcntl(file, 6, struct.pack("hhqqi4x", 1, 0, at + 2**60, 1, 0))
print("locked", flush=True)
time.sleep(60)`;
  const file = path.join(root, "steps.lock");
  const holder = spawn("python3", ["-c", script, file, KEY.slice("sha256:".length).slice(0, 15)]);
  await once(holder.stdout, "data");
  using locks = createStepLocks(stateDirs(root));
  const waited: (string | undefined)[] = [];
  const waiting = locks.take(KEY, {
    onWait(who) {
      waited.push(who);
      holder.kill(waited.length === 1 ? "SIGSTOP" : "SIGKILL");
    },
  });
  (await waiting)[Symbol.dispose]();
  expect(waited.slice(0, 2)).toEqual([`process ${holder.pid} (python3)`, `process ${holder.pid} (python3, stopped)`]);
});
