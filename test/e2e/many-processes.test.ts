import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { problemsOf } from "./store-check.js";
import { eventually, tracesOf, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const PROCESSES = 16;
/** Of these, some are killed while they build. */
const DOOMED = 5;
const WAITS = "waiting for the same step of another build";

/** Every run of the step leaves a line in the file that it is bound to. */
const COUNTED = 'RUN --mount=type=cache,id=runs,target=/runs echo "$WHICH" >> /runs/lines';

async function runsOf(counter: World): Promise<readonly string[]> {
  const context = counter.files(
    { Dockerfile: "FROM base\nRUN --mount=type=cache,id=runs,target=/runs cp /runs/lines /lines\n" },
    "count",
  );
  const out = counter.path("counted");
  expect(await counter.build(["--no-cache", "-o", out, context])).toMatchObject({ code: 0 });
  return fs.readFileSync(`${out}/lines`, "utf8").trim().split("\n");
}

/** Lets steps end that wait for the file `go` beside what they have written. */
function letGo(): void {
  for (const layer of fs.readdirSync(world.path("root", "layers"))) {
    const directory = world.path("root", "layers", layer, "fs");
    if (fs.existsSync(`${directory}/lines`)) fs.writeFileSync(`${directory}/go`, "");
  }
}

const UNTIL_GO = "echo begun; until [ -e /runs/go ]; do sleep 0.05; done; echo made > /made";

test("the same step in many processes runs once, and the others say that they wait for it", async () => {
  const dockerfile = `FROM base\nARG WHICH=same\n${COUNTED}; ${UNTIL_GO}\nRUN cat /made\n`;
  const context = world.files({ Dockerfile: dockerfile });
  const start = (i: number) => world.start(world.buildWords(["-t", `app${i}`, context]));
  const first = start(0);
  await first.says(" begun\n");
  const others = [1, 2, 3].map(start);
  await Promise.all(others.map((each) => each.says(WAITS)));
  letGo();
  expect(await first.ended).toMatchObject({ code: 0 });
  for (const each of others) {
    const { code, stderr } = await each.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/#(\d+) waiting for the same step of another build.*done\n#\1 CACHED/);
  }
  expect(await runsOf(world)).toEqual(["same"]);
});

test("a step whose process is killed is run by one that waits for it", async () => {
  const context = world.files({ Dockerfile: `FROM base\nARG WHICH=step\n${COUNTED}; ${UNTIL_GO}\n` });
  const words = world.buildWords(["-o", world.path("out"), context]);
  const first = world.start(words);
  await first.says(" begun\n");
  const second = world.start(words);
  await second.says(WAITS);
  first.child.kill("SIGKILL");
  await second.says(" begun\n");
  letGo();
  expect(await second.ended).toMatchObject({ code: 0 });
  expect(world.read("out", "made")).toBe("made\n");
  expect(await runsOf(world)).toEqual(["step", "step"]);
});

test("sixteen processes on one state directory, some of them killed, leave a sound store and right images", async () => {
  const contexts = [0, 1, 2].map((n) => {
    const dockerfile = `FROM base AS shared\n${COUNTED.replace("$WHICH", "shared")} && sleep 0.5\nFROM shared\nCOPY who /who\nRUN cat /who > /said && sleep 0.2\n`;
    return world.files({ Dockerfile: dockerfile, who: `${n}\n` }, `context${n}`);
  });
  const outs = Array.from({ length: PROCESSES }, (_, i) => world.path(`out${i}`));
  const running = outs.map((out, i) => world.start(world.buildWords(["-o", out, contexts[i % 3] ?? ""])));
  for (const [i, { child }] of running.slice(0, DOOMED).entries()) {
    await pause(150 * (i + 1));
    child.kill("SIGKILL");
  }
  const ended = await Promise.all(running.map((each) => each.ended));
  for (const [i, end] of ended.entries()) {
    if (i < DOOMED && end.signal === "SIGKILL") continue;
    expect(end, end.stderr).toMatchObject({ code: 0 });
    expect(world.read(`out${i}`, "said")).toBe(`${i % 3}\n`);
  }
  await eventually(() => tracesOf(world.dir, world.root, undefined).join("\n") || true, 3000);
  expect(await world.ashlar(["prune", "-f"])).toMatchObject({ code: 0 });
  expect(problemsOf(world.root, "pruned")).toEqual([]);
  expect((await runsOf(world)).length).toBeLessThanOrEqual(1 + DOOMED);
});
