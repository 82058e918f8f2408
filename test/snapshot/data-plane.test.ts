import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  createDataPlane,
  type DataPlane,
  type FileSource,
  type Selector,
  type StateDirs,
  stateDirs,
} from "../../src/snapshot/index.js";

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

const selector: Selector = {
  path: "/d",
  followSymlink: false,
  wildcard: false,
  allowEmptyWildcard: false,
  includes: [],
  excludes: [],
  required: [],
};

/** A context whose selection has been looked at, so quickly that no thread was needed. */
async function lookedAt(plane: DataPlane, scanId: string) {
  const directory = path.join(dirs.root, scanId);
  fs.mkdirSync(path.join(directory, "d"), { recursive: true });
  fs.writeFileSync(path.join(directory, "d", "a"), "old");
  const source: FileSource = { kind: "context", directory, excludes: [], scanId };
  const { digest } = await plane.read("contentDigest", { source, selector }, { affinity: scanId });
  return { source, digest, file: path.join(directory, "d", "a") };
}

function written(file: string): string {
  fs.writeFileSync(file, "new");
  return file;
}

it.each([
  ["written anew", (file: string) => fs.writeFileSync(file, "new")],
  ["replaced", (file: string) => fs.renameSync(written(`${file}.new`), file)],
  ["joined by another", (file: string) => fs.writeFileSync(`${file}.too`, "")],
  ["removed", (file: string) => fs.rmSync(file)],
  ["gone with its directory", (file: string) => fs.rmSync(path.dirname(file), { recursive: true })],
])(
  "a file that is %s after the look at it and before its copy has changed, for all who come after",
  async (how, change) => {
    await using plane = openPlane();
    const scanId = `scan ${how}`;
    const { source, file, digest } = await lookedAt(plane, scanId);
    change(file);
    const layer = 7;
    await plane.control("createLayer", { layer, parents: [] });
    const action = { kind: "copy", src: "/d", dest: "/", copyDirContents: true } as never;
    const copy = () =>
      plane.run("applyFileAction", { workspace: { layer, parents: [] }, action, source }, { affinity: scanId });
    await expect(copy()).rejects.toMatchObject({ code: "changed" });
    await expect(copy()).rejects.toMatchObject({ code: "changed" });
    await plane.run("removeLayers", { layers: [layer] });
    await plane.read("forgetScan", { scanId }, { affinity: scanId });
    if (!fs.existsSync(path.dirname(file))) return;
    const again = await plane.read("contentDigest", { source, selector }, { affinity: scanId });
    expect(again.digest).not.toBe(digest);
  },
);

it("a file that is as it was at the first look is read by the thread that copies it", async () => {
  await using plane = openPlane();
  const { source, digest, file } = await lookedAt(plane, "calm");
  fs.utimesSync(file, 1, 1);
  await plane.run("removeLayers", { layers: [] }, { affinity: "calm" });
  const again = await plane.read("contentDigest", { source, selector }, { affinity: "calm" });
  expect(again.digest).toBe(digest);
});
