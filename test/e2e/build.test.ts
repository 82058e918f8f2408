import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { findProgram, needs, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const PROGRAM = `FROM base AS builder
WORKDIR /src
COPY in.txt .
RUN tr a-z A-Z < in.txt > out.txt
FROM base
COPY --from=builder /src/out.txt /out.txt
ENV GREETING=hello
CMD ["cat", "/out.txt"]
`;

test("a build runs its steps, stores the image, and the image runs", async () => {
  const context = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  const built = await world.build(["-t", "hello", context]);
  expect(built).toMatchObject({ code: 0, stdout: "" });
  expect(built.stderr).toContain("RUN tr a-z A-Z");
  expect(await world.ashlar(["run", "hello"])).toMatchObject({ code: 0, stdout: "STONE\n" });
});

test("an unchanged build runs nothing: every step is CACHED", async () => {
  const context = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  const first = await world.build(["-t", "hello", "-q", context]);
  const again = await world.build(["-t", "hello", context]);
  expect(again.code).toBe(0);
  expect(stepsOf(again.stderr)).toEqual([
    ["WORKDIR /src", "CACHED"],
    ["COPY in.txt .", "CACHED"],
    ["RUN tr a-z A-Z < in.txt > out.txt", "CACHED"],
    ["COPY --from=builder /src/out.txt /out.txt", "CACHED"],
  ]);
  expect(await world.build(["-t", "hello", "-q", context])).toMatchObject({ stdout: first.stdout });
});

test("a touched file is no change, a changed one runs what sees it", async () => {
  const context = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  await world.build([context]);
  fs.utimesSync(path.join(context, "in.txt"), new Date(), new Date());
  expect(stepsOf((await world.build([context])).stderr).map(([, state]) => state)).toEqual(Array(4).fill("CACHED"));
  fs.writeFileSync(path.join(context, "in.txt"), "stones\n");
  const states = new Map(stepsOf((await world.build([context])).stderr));
  expect(states.get("WORKDIR /src")).toBe("CACHED");
  expect(states.get("COPY in.txt .")).toBe("DONE");
  expect(states.get("RUN tr a-z A-Z < in.txt > out.txt")).toBe("DONE");
});

test("an unchanged build needs no network", async (context) => {
  needs(context, "unshare");
  const directory = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  await world.build([directory]);
  const again = await world.build([directory], { under: ["unshare", "--net"] });
  expect(again).toMatchObject({ code: 0 });
  expect(stepsOf(again.stderr).map(([, state]) => state)).toEqual(Array(4).fill("CACHED"));
});

test("an unchanged build opens no socket", async (context) => {
  needs(context, "strace");
  const directory = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  await world.build([directory]);
  const trace = world.path("trace");
  const under = [findProgram("strace") ?? "", "-f", "-qq", "-e", "trace=socket,connect", "-o", trace];
  const again = await world.build([directory], { under });
  if (!fs.existsSync(trace)) context.skip("strace may not trace here");
  expect(again).toMatchObject({ code: 0 });
  const calls = world.read("trace").split("\n");
  expect(calls.filter((line) => /\b(?:socket|connect)\(AF_INET/.test(line))).toEqual([]);
});

test("--no-cache runs every step again", async () => {
  const context = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  await world.build([context]);
  const again = await world.build(["--no-cache", context]);
  const states = new Map(stepsOf(again.stderr));
  expect(states.get("RUN tr a-z A-Z < in.txt > out.txt")).toBe("DONE");
  expect(states.get("COPY in.txt .")).toBe("DONE");
});

test("an image built here is a base image by its name, without a registry", async () => {
  const below = world.files({ Dockerfile: "FROM base\nRUN echo below > /below\nENV WHERE=below\n" }, "below");
  const above = world.files({ Dockerfile: "FROM team/below:1.0\nCMD cat /below; echo $WHERE\n" }, "above");
  expect(await world.build(["-t", "team/below:1.0", below])).toMatchObject({ code: 0 });
  expect(await world.build(["-t", "above", above])).toMatchObject({ code: 0 });
  expect(await world.ashlar(["run", "above"])).toMatchObject({ code: 0, stdout: "below\nbelow\n" });
});

test("--build-arg, --target, --label and --platform of this machine are followed", async () => {
  const dockerfile = [
    "FROM base AS one",
    "ARG NAME=nobody",
    "ENV NAME=$NAME",
    "CMD echo one $NAME",
    "FROM base",
    "RUN exit 1",
    "",
  ].join("\n");
  const context = world.files({ Dockerfile: dockerfile });
  const words = ["--build-arg", "NAME=mason", "--target", "one", "--label", "a=b", "--platform", "local"];
  expect(await world.build([...words, "-t", "one", context])).toMatchObject({ code: 0 });
  expect(await world.ashlar(["run", "one"])).toMatchObject({ code: 0, stdout: "one mason\n" });
});

test("the build checks are told after a build, and --check builds nothing", async () => {
  const context = world.files({ Dockerfile: "from base\nRUN echo $UNKNOWN\nENV a $UNKNOWN\n" });
  const built = await world.build([context]);
  expect(built.stderr).toContain("LegacyKeyValueFormat");
  const checked = await world.build(["--check", context]);
  expect(checked).toMatchObject({ code: 1 });
  expect(checked.stdout).toContain("LegacyKeyValueFormat");
});

test("run hands on arguments, variables, volumes and the exit code", async () => {
  const context = world.files({ Dockerfile: 'FROM base\nENTRYPOINT ["sh", "-c"]\n' });
  await world.build(["-t", "shell", context]);
  const shared = world.files({ note: "from outside\n" }, "shared");
  const words = ["run", "-e", "WHO=me", "-v", `${shared}:/shared:ro`, "shell", "echo $WHO; cat /shared/note; exit 7"];
  expect(await world.ashlar(words)).toMatchObject({ code: 7, stdout: "me\nfrom outside\n" });
  const running = world.start(["run", "shell", "echo up >&2; sleep 1000"]);
  await running.says("up");
  running.child.kill("SIGINT");
  // Programs around it have nothing to say.
  expect(await running.ended).toMatchObject({ code: 130, stderr: "up\n" });
});

test("images lists, du weighs, and prune --all leaves the images and no cache", async () => {
  const context = world.files({ Dockerfile: PROGRAM, "in.txt": "stone\n" });
  await world.build(["-t", "hello", "-t", "other:1.0", context]);
  const images = await world.ashlar(["images"]);
  expect(images.stdout).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/m);
  expect(images.stdout).toMatch(/^hello +latest +[0-9a-f]{12} /m);
  expect(images.stdout).toMatch(/^other +1\.0 +[0-9a-f]{12} /m);
  expect((await world.ashlar(["du"])).stdout).toMatch(/^Total:\s+[1-9]/m);
  expect(await world.ashlar(["prune", "--all", "--force"])).toMatchObject({ code: 0 });
  expect(await world.ashlar(["run", "hello"])).toMatchObject({ code: 0, stdout: "STONE\n" });
  const states = new Map(stepsOf((await world.build(["-t", "hello", context])).stderr));
  expect(states.get("RUN tr a-z A-Z < in.txt > out.txt")).toBe("DONE");
});

test("secrets are seen by the step that asks for them and by nothing else", async () => {
  const dockerfile =
    "FROM base\nRUN --mount=type=secret,id=token,required=true sha256sum < /run/secrets/token > /sum\nCMD cat /sum; ls /run/secrets 2>/dev/null | wc -l\n";
  const context = world.files({ Dockerfile: dockerfile });
  const secret = path.join(world.files({ token: "s3cret-value" }, "secrets"), "token");
  expect(await world.build(["-t", "s", "--secret", `id=token,src=${secret}`, context])).toMatchObject({ code: 0 });
  expect((await world.ashlar(["run", "s"])).stdout).toMatch(/^[0-9a-f]{64} +-\n0\n$/);
  const refused = await world.build(["--no-cache", context]);
  expect(refused).toMatchObject({ code: 1 });
});

/** The steps above the base images in a plain log, with the word each ended with, in the Dockerfile's order. */
function stepsOf(log: string): readonly (readonly [string, string])[] {
  const names = new Map<string, string>();
  const ends = new Map<string, string>();
  for (const line of log.split("\n")) {
    const [, number = "", rest = ""] = /^#(\d+) (.*)$/.exec(line) ?? [];
    const [, stage = "", position = "", name] = /^\[(\S+) (\d+)\/\d+\] (.*)$/.exec(rest) ?? [];
    if (name !== undefined && !name.startsWith("FROM ")) names.set(number, `${stage} ${position} ${name}`);
    const end = /^(CACHED|DONE|ERROR|CANCELED)\b/.exec(rest)?.[1];
    if (end !== undefined) ends.set(number, end);
  }
  return [...names]
    .map(([number, name]) => [name, ends.get(number) ?? "?"] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, end]) => [name.replace(/^\S+ \d+ /, ""), end] as const);
}
