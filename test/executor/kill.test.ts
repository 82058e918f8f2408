import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCgroups, sweepExecutor } from "../../src/executor/index.js";
import { ownerIsAlive } from "../../src/snapshot/index.js";
import { processesNaming } from "../suites/executor.js";
import { buildEngine, buildSandbox } from "./bundles.js";
import { type Ground, makeGround, removeGround } from "./ground.js";

const DEEP_ROUNDS = 100;
const deep = process.env.ASHLAR_TEST_DEEP !== undefined;
const GONE_WITHIN_MS = 2000;
let ground: Ground;
let engineFile: string;
let owners = 0;

beforeAll(() => {
  ground = makeGround();
  engineFile = buildEngine(ground.dirs.root);
  buildSandbox(ground.dirs.root);
});
afterAll(() => removeGround(ground));

interface Engine {
  readonly process: ChildProcess;
  readonly owner: string;
  /** In the arguments of every process of the step. */
  readonly marker: string;
}

function startEngine(kind: string): Engine {
  const owner = `kill-${process.pid}-${owners++}`;
  const marker = `${8_000_000_000 + process.pid * 1000 + owners}`;
  const script = `trap '' TERM HUP INT; setsid sleep ${marker} & (sleep ${marker} &); mkdir -p /tmp/x; echo ready; sleep ${marker}`;
  const child = spawn(process.execPath, [engineFile, ground.dirs.root, kind, owner, script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { process: child, owner, marker };
}

async function said({ process: { stdout } }: Engine, word: string): Promise<void> {
  if (!stdout) throw new Error("no output");
  for await (const chunk of stdout.iterator({ destroyOnReturn: false })) if (String(chunk).includes(word)) return;
  throw new Error(`the engine ended before it said ${word}`);
}

/** Kills the engine as nothing can prevent, then waits until nothing of its step is left. */
async function killEngine(engine: Engine): Promise<void> {
  engine.process.kill("SIGKILL");
  await once(engine.process, "exit");
  await expect.poll(() => leftovers(engine), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
}

/** Processes of the step or of the programs around it, and processes that see one of its mounts. */
function leftovers({ owner, marker }: Engine): string[] {
  const bundles = path.join(ground.dirs.run, owner);
  const mounting = fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/mountinfo`, "latin1").includes(ground.dirs.root);
    } catch {
      return false;
    }
  });
  return [...processesNaming(marker), ...processesNaming(bundles), ...mounting];
}

function cgroupsOf(owner: string): string[] {
  const { mounts } = readCgroups();
  return mounts.flatMap((mount) => fs.readdirSync(mount).filter((name) => name.startsWith(`ashlar-${owner}-`)));
}

describe.each(["runc", "crun", "sandbox"])("an engine on %s that is killed while a step runs", (kind) => {
  it("takes every process and mount of the step with it, and the next one sweeps the rest", async () => {
    const engine = startEngine(kind);
    await said(engine, "ready");
    expect(processesNaming(engine.marker).length).toBeGreaterThan(2);
    await killEngine(engine);
    const alive = (owner: string) => ownerIsAlive(ground.dirs.owners, owner);
    expect(alive(engine.owner)).toBe(false);
    await sweepExecutor(ground.dirs, alive);
    expect(cgroupsOf(engine.owner)).toEqual([]);
    expect(fs.readdirSync(ground.dirs.run)).toEqual([]);
  });
  it("spares the steps of living engines when sweeping", async () => {
    const engine = startEngine(kind);
    await said(engine, "ready");
    await sweepExecutor(ground.dirs, (owner) => ownerIsAlive(ground.dirs.owners, owner));
    expect(fs.existsSync(path.join(ground.dirs.run, engine.owner))).toBe(true);
    expect(processesNaming(engine.marker).length).toBeGreaterThan(2);
    await killEngine(engine);
    await sweepExecutor(ground.dirs, (owner) => ownerIsAlive(ground.dirs.owners, owner));
  });
  it.skipIf(!deep)(
    `at any of ${DEEP_ROUNDS} moments leaves nothing${deep ? "" : " (set ASHLAR_TEST_DEEP=1)"}`,
    { timeout: 300_000 },
    async () => {
      for (let round = 0; round < DEEP_ROUNDS; round++) {
        const engine = startEngine(kind);
        await said(engine, "started");
        await new Promise((resolve) => setTimeout(resolve, round * 1.5));
        await killEngine(engine);
      }
      await sweepExecutor(ground.dirs, (owner) => ownerIsAlive(ground.dirs.owners, owner));
      expect(fs.readdirSync(ground.dirs.run)).toEqual([]);
      expect(cgroupsOf(`kill-${process.pid}`)).toEqual([]);
    },
  );
});
