import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createExecutor,
  type Executor,
  findRuntime,
  readCgroups,
  runtimeRunner,
  sandboxRunner,
} from "../../src/executor/index.js";
import { createDataPlane, type DataPlane } from "../../src/snapshot/index.js";
import { buildSandbox } from "./bundles.js";
import { type Ground, makeGround, removeGround, run, shell } from "./ground.js";

const LAYER = 1;

describe.each(["runc", "crun", "sandbox"] as const)("%s below the data plane", (kind) => {
  let ground: Ground;
  let plane: DataPlane;
  let executor: Executor;
  beforeAll(async () => {
    ground = makeGround();
    const { dirs } = ground;
    for (const directory of [path.join(dirs.layers, "empty"), dirs.mounts])
      fs.mkdirSync(directory, { recursive: true });
    plane = createDataPlane({ dirs, snapshotter: "overlay", workerFile: path.resolve("dist/worker.cjs"), threads: 1 });
    const entry = buildSandbox(dirs.root);
    const runner =
      kind === "sandbox"
        ? sandboxRunner({ node: process.execPath, entry }, process.arch)
        : runtimeRunner(findRuntime({ searchPath: "", only: kind }), readCgroups(), { userNamespace: false });
    executor = createExecutor({ spawner: plane, dirs, owner: `plane-${kind}-${process.pid}`, runner, searchPath: "" });
    fs.mkdirSync(path.join(dirs.layers, String(LAYER)));
    fs.renameSync(ground.rootfs, path.join(dirs.layers, String(LAYER), "fs"));
  });
  afterAll(async () => {
    await plane[Symbol.asyncDispose]();
    removeGround(ground);
  });

  it("runs a step in a root that only the data plane's namespace has mounted", async () => {
    const upper = LAYER + 1;
    await plane.control("createLayer", { layer: upper, parents: [] });
    const rootfs = await plane.control("mount", { tree: [LAYER], upper });
    const ran = await run(executor, shell("echo made > /made; umask; pwd; echo late >&2; exit 4"), rootfs);
    expect(ran).toEqual({ exit: { kind: "exited", code: 4 }, stdout: "0022\n/\n", stderr: "late\n" });
    await plane.control("unmount", { path: rootfs });
    const made = path.join(ground.dirs.layers, String(upper), "fs/made");
    expect([fs.readFileSync(made, "utf8"), fs.statSync(made).mode & 0o777]).toEqual(["made\n", 0o644]);
  });
  it("ends a step on abort and can unmount its root at once", async () => {
    const upper = LAYER + 2;
    await plane.control("createLayer", { layer: upper, parents: [] });
    const rootfs = await plane.control("mount", { tree: [LAYER], upper });
    const controller = new AbortController();
    const running = executor.run(shell("echo ready; sleep 1000"), rootfs, {
      signal: controller.signal,
      onOutput: () => controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: "canceled" });
    await plane.control("unmount", { path: rootfs });
    expect(fs.readdirSync(path.join(ground.dirs.run, `plane-${kind}-${process.pid}`))).toEqual([]);
  });
});
