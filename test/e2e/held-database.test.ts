import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { owners, World } from "./world.js";

let world: World;
let holder: ChildProcess;

beforeEach(async () => {
  world = new World();
  expect(await world.ashlar(["images"])).toMatchObject({ code: 0 });
  const script = `
    const { DatabaseSync } = require("@photostructure/sqlite");
    const database = new DatabaseSync(process.argv[1]);
    database.exec("BEGIN IMMEDIATE");
    process.stdin.once("end", () => process.exit()).resume();
    console.log("held");`;
  holder = spawn(process.execPath, ["-e", script, path.join(world.root, "ashlar.db")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout ?? holder, "data");
  return async () => {
    holder.kill("SIGKILL");
    await world[Symbol.asyncDispose]();
  };
});

function waitsFor({ pid }: ChildProcess): string {
  return `waiting for the metadata database, which process ${pid} (node) holds`;
}

test("a build says who holds the database, and Ctrl-C doesn't wait for that", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN echo made > /made\n" });
  const running = world.start(world.buildWords([context]));
  await running.says(waitsFor(holder));
  running.child.kill("SIGINT");
  // Were it to wait for the lock, it would be killed for its time, and have no exit code.
  const ended = await running.ended;
  expect(ended).toMatchObject({ code: 130, stderr: expect.stringContaining("canceled by SIGINT") });
  expect(owners(world.root)).toEqual([]);
  holder.stdin?.end();
  expect(await world.build([context])).toMatchObject({ code: 0 });
  expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
});

test("what only reads doesn't wait, even where somebody has died; what writes says for whom, and goes on then", async () => {
  fs.writeFileSync(path.join(world.root, "owners", "1-00000000-dead"), "");
  expect(await world.ashlar(["images"])).toMatchObject({ code: 0, stderr: "" });
  const pruned = world.start(["prune", "-af"]);
  await pruned.says(waitsFor(holder));
  holder.stdin?.end();
  expect(await pruned.ended).toMatchObject({ code: 0 });
  expect(await world.ashlar(["images"])).toMatchObject({ code: 0 });
  expect(owners(world.root)).toEqual([]);
});
