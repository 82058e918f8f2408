import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { BASE_LAYOUT, type Ended, needs, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** A failed build says why in its own words, on standard error, without a stack. */
function expectSentence(ended: Ended, words: RegExp, code = 1): void {
  expect(ended.stderr).toMatch(words);
  expect(ended.stderr).toMatch(/^ERROR: /m);
  expect(ended.stderr).not.toMatch(/^ {4}at .+:\d+:\d+\)?$/m);
  expect(ended).toMatchObject({ code, signal: null });
}

test("a mistyped instruction is refused with its line and with what was meant", async () => {
  const context = world.files({ Dockerfile: "FROM base\nCOPPY a b\n" });
  const ended = await world.build([context]);
  expectSentence(ended, /unknown instruction: COPPY \(did you mean COPY\?\)/);
  expect(ended.stderr).toMatch(/^ +2 \| >>> COPPY a b$/m);
});

test("a mistyped stage and a mistyped flag of an instruction are told with what was meant", async () => {
  const context = world.files({ Dockerfile: "FROM base AS builder\nRUN --mont=type=cache,target=/x true\n" });
  expectSentence(await world.build([context]), /did you mean mount\?/i);
  const other = world.files({ Dockerfile: "FROM base AS builder\n" }, "other");
  expectSentence(await world.build(["--target", "bilder", other]), /did you mean builder\?/);
});

test("a wrong command line ends with 125", async () => {
  const context = world.files({ Dockerfile: "FROM base\n" });
  expectSentence(await world.ashlar(["build", "--tga", "x", context]), /--tga.*\(did you mean --tag\?\)/s, 125);
  expectSentence(await world.ashlar(["build"]), /context/, 125);
  expectSentence(await world.ashlar(["biuld", context]), /biuld/, 125);
  expectSentence(await world.ashlar(["build", "-t", "Not A Name", context]), /Not A Name/i);
});

test("a reader that has gone, a full disk behind the output and a directory that is gone are told, and are no success", async (context) => {
  needs(context, "bash");
  const shell = (script: string) => ({ under: ["bash", "-c", script, world.path()] });
  const gone = shell('set -o pipefail; "$@" | true');
  expect(await world.ashlar(["images"], gone)).toMatchObject({ code: 141, stderr: "" });
  expectSentence(
    await world.ashlar(["images"], shell('exec "$@" > /dev/full')),
    /^ERROR: writing to standard output: /,
  );
  const nowhere = shell('cd "$(mktemp -d -p "$0")" && rmdir "$PWD" && exec "$@"');
  expectSentence(await world.ashlar(["images"], nowhere), /^ERROR: the current directory is gone/);
});

test("a step that fails shows its last lines and its exit code", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN echo first; echo last words >&2; exit 3\n" });
  const ended = await world.build([context]);
  expectSentence(ended, /exit code: 3/);
  expect(ended.stderr.slice(ended.stderr.indexOf("------\n >"))).toContain("last words");
  expect(ended.stderr).toMatch(/^ +2 \| >>> RUN echo first/m);
  const quiet = await world.build(["-q", context]);
  expectSentence(quiet, /exit code: 3/);
});

test("a step that fails after a line too long to be shown names the log that has all of it", async () => {
  const context = world.files({ Dockerfile: 'FROM base\nRUN head -c 400000 /dev/zero | tr "\\0" y; false\n' });
  const ended = await world.build(["-q", context]);
  expectSentence(ended, /exit code: 1/);
  expect(ended.stderr.length).toBeLessThan(20_000);
  expect(ended.stderr).toContain(" …yyy");
  const [, log = ""] = /all that the step has said: (\S+)/.exec(ended.stderr) ?? [];
  expect(fs.statSync(log).size).toBe(400_000);
});

test("an ADD from the network that fails is shown at its line, and not at that of what stands on it", async () => {
  const lines = [
    "FROM base AS a",
    "ADD git://127.0.0.1:9/r.git#nosuch /x",
    "RUN id",
    "FROM base",
    "COPY --from=a /x /x",
  ];
  for (const last of ["COPY --from=a /x /x", "RUN --mount=from=a,target=/a true", "RUN pwd"]) {
    const context = world.files({ Dockerfile: `${lines.join("\n")}\n${last}\n` }, `context ${last.length}`);
    expectSentence(await world.build([context]), /^ +2 \| >>> ADD git:/m);
  }
});

test("a failed step is not cached, and what came before it is", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN echo before\nRUN exit 3\n" });
  await world.build([context]);
  const again = await world.build([context]);
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/RUN echo before\n#\d+ CACHED/);
});

test("a COPY of what is not there names it", async () => {
  const context = world.files({ Dockerfile: "FROM base\nCOPY no-such-file /\n" });
  expectSentence(await world.build([context]), /\/no-such-file.*not found/);
});

test("an empty Dockerfile, one of comments, and one without FROM are refused", async () => {
  expectSentence(await world.build([world.files({ Dockerfile: "" }, "a")]), /empty/);
  expectSentence(await world.build([world.files({ Dockerfile: "# nothing\n" }, "b")]), /no instructions/);
  expectSentence(await world.build([world.files({ Dockerfile: "RUN true\n" }, "c")]), /no build stage/);
});

test("a Dockerfile of ten megabytes is built or refused, in words", async () => {
  const context = world.files({ Dockerfile: `FROM base\n${"# a comment that says nothing\n".repeat(350_000)}` });
  const ended = await world.build([context]);
  if (ended.code !== 0) expectSentence(ended, /Dockerfile/);
});

test("a missing context, Dockerfile or named context is told by its name", async () => {
  expectSentence(await world.build([world.path("nowhere")]), /nowhere/);
  expectSentence(await world.build([world.files({ a: "" }, "none")]), /Dockerfile.*no such file/);
  const context = world.files({ Dockerfile: "FROM scratch\nCOPY --from=other a /\n" });
  expectSentence(await world.build(["--build-context", "other=/no/such/dir", context]), /\/no\/such\/dir/);
});

test("sockets, pipes and dangling links in a context stop nobody", async (context) => {
  needs(context, "mkfifo", "python3");
  const directory = world.files({ Dockerfile: "FROM base\nCOPY . /all\nRUN ls -a /all > /list\n", file: "content" });
  fs.symlinkSync("/nowhere/at/all", path.join(directory, "dangling"));
  await run(["mkfifo", path.join(directory, "pipe")]);
  const socket = path.join(directory, "socket");
  await run(["python3", "-c", `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(socket)})`]);
  const out = world.path("out");
  expect(await world.build(["-o", out, directory])).toMatchObject({ code: 0 });
  expect(world.read("out", "all", "file")).toBe("content");
  expect(fs.readlinkSync(world.path("out", "all", "dangling"))).toBe("/nowhere/at/all");
});

test("a layout whose blob has other bytes than its digest says is refused", async () => {
  const layout = world.path("layout");
  fs.cpSync(BASE_LAYOUT, layout, { recursive: true });
  const blobs = path.join(layout, "blobs/sha256");
  const largest = fs
    .readdirSync(blobs)
    .sort((a, b) => fs.statSync(path.join(blobs, b)).size - fs.statSync(path.join(blobs, a)).size)[0];
  const bytes = fs.readFileSync(path.join(blobs, `${largest}`));
  bytes[bytes.length >> 1] = 1 + (bytes[bytes.length >> 1] ?? 0);
  fs.writeFileSync(path.join(blobs, `${largest}`), bytes);
  const context = world.files({ Dockerfile: "FROM bad\nRUN true\n" });
  const words = ["build", "--progress=plain", "--build-context", `bad=oci-layout://${layout}:latest`, context];
  expectSentence(await world.ashlar(words), new RegExp(`${largest}`));
});

test("a database that is none is told by its path, and left alone", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN true\n" });
  await world.build([context]);
  const database = path.join(world.root, "ashlar.db");
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(`${database}${suffix}`, { force: true });
  fs.writeFileSync(database, "this is no database\n".repeat(1000));
  expectSentence(await world.build([context]), new RegExp(database));
});

test("a full state directory ends the build with a sentence", async (context) => {
  needs(context, "mount", "umount");
  fs.mkdirSync(world.root);
  const mounted = await run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", world.root]);
  if (mounted.code !== 0) context.skip(`no tmpfs can be mounted here: ${mounted.stderr.trim()}`);
  try {
    const directory = world.files({ Dockerfile: "FROM base\nRUN dd if=/dev/zero of=/big bs=1000 count=20000\n" });
    expectSentence(await world.build([directory]), /no space left/i);
    const copied = world.files({ Dockerfile: "FROM base\nCOPY big /big\n", big: Buffer.alloc(20_000_000) }, "copied");
    expectSentence(await world.build([copied]), /no space left/i);
    fs.writeFileSync(path.join(directory, "Dockerfile"), "FROM base\nRUN echo small > /small\n");
    await world.ashlar(["prune", "--all", "--force"]);
    expect(await world.build([directory])).toMatchObject({ code: 0 });
  } finally {
    await run(["umount", world.root]);
  }
});

test("a Dockerfile that is a pipe nobody writes to is refused, not waited for", async () => {
  const directory = world.files({});
  execFileSync("mkfifo", [world.path("pipe")]);
  expectSentence(await world.build(["-f", world.path("pipe"), directory]), /pipe is not a regular file/);
});
