import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import {
  ASHLAR,
  cgroupsNamed,
  eventually,
  needs,
  owners,
  type Running,
  type RunOptions,
  tracesOf,
  World,
} from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** How long after its end a build may have anything left on the machine. Milliseconds. */
const GONE_WITHIN_MS = 1000;

interface Sleeping {
  readonly running: Running;
  readonly marker: string;
  readonly owner: string;
  readonly context: string;
}

/** A build in the middle of a step, with children that would go on sleeping. */
async function startSleeping(options: RunOptions = {}): Promise<Sleeping> {
  const marker = `31536000.${process.pid}${Math.floor(performance.now())}`;
  const dockerfile = `FROM base\nRUN echo kept > /kept\nRUN (trap '' TERM INT; sleep ${marker}) & echo up-$((40 + 2)); sleep ${marker}\n`;
  const context = world.files({ Dockerfile: dockerfile });
  const running = world.start(world.buildWords([context]), options);
  await running.says("up-42");
  const [owner = ""] = owners(world.root);
  expect(tracesOf(marker, world.root, owner).length).toBeGreaterThan(1);
  return { running, marker, owner, context };
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  test(`${signal} in the middle of a step ends the build within a second, and leaves nothing`, async () => {
    const { running, marker, owner } = await startSleeping();
    const startedAt = performance.now();
    running.child.kill(signal);
    const ended = await running.ended;
    expect(performance.now() - startedAt).toBeLessThan(GONE_WITHIN_MS);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toMatch(/cancel/i);
    expect(tracesOf(marker, world.root, owner)).toEqual([]);
    expect(owners(world.root)).toEqual([]);
    expect(fs.readdirSync(path.join(world.root, "tmp"))).toEqual([]);
    expect(fs.readdirSync(path.join(world.root, "mnt"))).toEqual([]);
    const bundles = fs.readdirSync(path.join(world.root, "run"), { recursive: true, encoding: "utf8" });
    expect(bundles.filter((name) => name.includes("config.json"))).toEqual([]);
  });
}

test("a command that has done everything waits for none of its threads", async (context) => {
  needs(context, "strace");
  const directory = world.files({ Dockerfile: "FROM base\nRUN echo made > /made\n" });
  expect(await world.build(["-q", directory])).toMatchObject({ code: 0 });
  const calls = world.path("calls");
  const under = ["strace", "-f", "-qq", "-e", "trace=exit,exit_group", "-o", calls];
  expect(await world.build(["-q", directory], { under })).toMatchObject({ code: 0 });
  expect(fs.readFileSync(calls, "utf8").match(/exit\w*\(\d+\)/g)).toEqual(["exit_group(0)"]);
});

test("what is said reaches a reader who takes it late", async () => {
  const context = world.files({ Dockerfile: "FROM base\n" });
  expect(await world.build(["-q", "-t", "app", context])).toMatchObject({ code: 0 });
  const names = Array.from({ length: 1000 }, () => "app");
  const env = { ...process.env, ASHLAR_ROOT: world.root };
  const child = spawn(ASHLAR, ["inspect", ...names], { env, stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "readable");
  await eventually(() => owners(world.root).length === 0, GONE_WITHIN_MS);
  const chunks: Uint8Array[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk);
  expect(JSON.parse(Buffer.concat(chunks).toString())).toHaveLength(names.length);
});

test("kill -9 takes processes and mounts along at once, and the next command sweeps the rest", async () => {
  const { running, marker, owner, context } = await startSleeping();
  running.child.kill("SIGKILL");
  await running.ended;
  await eventually(() => {
    const left = tracesOf(marker, world.root, undefined);
    return left.length === 0 || left.join("\n");
  }, GONE_WITHIN_MS);
  const next = await world.ashlar(["images"]);
  expect(next).toMatchObject({ code: 0, stderr: "" });
  expect(owners(world.root)).toEqual([]);
  expect(cgroupsNamed(owner)).toEqual([]);
  expect(fs.readdirSync(path.join(world.root, "tmp"))).toEqual([]);
  fs.writeFileSync(path.join(context, "Dockerfile"), "FROM base\nRUN echo kept > /kept\nRUN echo fine\n");
  const again = await world.build([context]);
  expect(again).toMatchObject({ code: 0 });
  expect(again.stderr).toMatch(/RUN echo kept > \/kept\n#\d+ CACHED/);
});

test("two builds at once on one state directory both succeed, and a step they share may run once", async () => {
  const dockerfile = "FROM base\nARG WHO\nRUN cat /proc/sys/kernel/random/uuid > /shared\nRUN echo $WHO > /who\n";
  const context = world.files({ Dockerfile: dockerfile.replace("ARG WHO\n", "") });
  const other = world.files({ Dockerfile: dockerfile }, "other");
  const [one, two] = await Promise.all([
    world.build(["-t", "one", context]),
    world.build(["-t", "two", "--build-arg", "WHO=two", other]),
  ]);
  expect(one).toMatchObject({ code: 0 });
  expect(two).toMatchObject({ code: 0 });
  expect(await world.ashlar(["run", "two", "cat", "/who"])).toMatchObject({ code: 0, stdout: "two\n" });
});

test("four equal builds at once make one image", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN echo a > /a\nRUN echo b > /b\nCOPY file /\n", file: "x" });
  const ended = await Promise.all([1, 2, 3, 4].map((n) => world.build(["-q", "-t", `image${n}`, context])));
  expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const image = await world.build(["-q", context]);
  expect(image).toMatchObject({ code: 0 });
  expect(ended.map(({ stdout }) => stdout)).toContain(image.stdout);
});

/** It stops between two transactions, which a busy machine makes long. */
const STOPPED_WITHIN_MS = 10_000;
/** Starts a program as a job: the kernel stops none that no shell of its session could let go on, as where tests run in the background. */
const AS_JOB = ["bash", "-c", 'set -m; "$@" & wait -f $!', "bash"];

test("a build that is stopped goes on when it is let", async (context) => {
  needs(context, "bash");
  const { running, context: directory } = await startSleeping({ under: AS_JOB });
  const shell = running.child.pid;
  const pid = Number(fs.readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").split(" ")[0]);
  const state = () => fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "")[0];
  try {
    process.kill(pid, "SIGTSTP");
    await eventually(() => state() === "T", STOPPED_WITHIN_MS);
    // What it runs holds up whoever builds the same.
    const other = world.start(world.buildWords([directory]));
    await other.says(`waiting for the same step of another build, process ${pid} (ashlar build, stopped)`);
    process.kill(pid, "SIGCONT");
    await eventually(() => state() !== "T", STOPPED_WITHIN_MS);
    other.child.kill("SIGINT");
    process.kill(pid, "SIGINT");
    expect([(await running.ended).code, (await other.ended).code]).toEqual([130, 130]);
  } catch (error) {
    process.kill(pid, "SIGKILL"); // no child of ours
    throw error;
  }
});
