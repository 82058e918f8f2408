import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDataPlane, type DataPlane, type StateDirs, stateDirs } from "../../src/snapshot/index.js";

let dirs: StateDirs;

beforeAll(() => {
  dirs = stateDirs(fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-plane-")));
  for (const directory of [dirs.layers, path.join(dirs.layers, "empty"), dirs.mounts, dirs.tmp])
    fs.mkdirSync(directory);
});
afterAll(() => fs.rmSync(dirs.root, { recursive: true, force: true }));

const THREADS = 2;
const ROUNDS = 12;
/** Each round closes so much later in the life of the threads. */
const ROUND_MS = 8;
const WORKER_FILE = path.resolve("dist/worker.cjs");

function openPlane(): DataPlane {
  return createDataPlane({ dirs, snapshotter: "native", workerFile: WORKER_FILE, threads: THREADS });
}

it("a plane may be closed whenever its threads start, load their addon or join its namespace", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const plane = openPlane();
    const jobs = Array.from({ length: THREADS }, () => plane.run("removeLayers", { layers: [] }));
    const settled = Promise.allSettled(jobs);
    await delay(round * ROUND_MS);
    await plane[Symbol.asyncDispose]();
    for (const job of await settled)
      if (job.status === "rejected") expect(job.reason).toMatchObject({ code: "canceled" });
  }
});

it("a process that has nothing else to do waits for the end of a plane's threads", () => {
  const script = `
    const { createDataPlane } = require(process.argv[1]);
    const plane = createDataPlane(JSON.parse(process.argv[2]));
    process.on("beforeExit", () => process.exit(process.exitCode ?? 3));
    plane.run("removeLayers", { layers: [] }).catch(() => {});
    setImmediate(() => plane[Symbol.asyncDispose]().then(() => { process.exitCode = 0; }));`;
  const bundle = path.join(dirs.root, "plane.cjs");
  const entry = path.resolve("src/snapshot/data-plane.ts");
  const define = { "import.meta.url": "__filename" };
  buildSync({ entryPoints: [entry], outfile: bundle, bundle: true, platform: "node", external: ["koffi"], define });
  const options = JSON.stringify({ dirs, snapshotter: "native", workerFile: WORKER_FILE, threads: THREADS });
  const ended = spawnSync(process.execPath, ["-e", script, bundle, options], { encoding: "utf8" });
  expect(ended).toMatchObject({ status: 0, stderr: "" });
});

it("closing a plane stops its jobs, however long they would go on", async () => {
  const tree = path.join(dirs.layers, "1", "fs");
  fs.mkdirSync(tree, { recursive: true });
  for (let i = 0; i < 2_000; i++) fs.writeFileSync(path.join(tree, String(i)), "");
  const plane = openPlane();
  await plane.run("removeLayers", { layers: [] });
  const removal = expect(plane.run("removeLayers", { layers: [1] })).rejects.toMatchObject({ code: "canceled" });
  await expect.poll(() => fs.readdirSync(tree).length, { interval: 1 }).toBeLessThan(2_000);
  await plane[Symbol.asyncDispose]();
  await removal;
  expect(fs.existsSync(tree)).toBe(true);
});
