import fs from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BuildRequest, createEngine, type Engine } from "../../src/engine/index.js";
import { missText } from "../../src/progress/index.js";
import { BASE_LAYOUT, World } from "./world.js";

/*
 * Of small builds, each with one edit, all that a plan then tells as causes: in the words that people read.
 */

let world: World;
let engine: Engine;

beforeAll(async () => {
  world = new World();
  engine = await createEngine({ root: world.root, env: process.env });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

interface Row {
  readonly was: string;
  readonly is?: string;
  /** Of the context, beside `a`, `c`, `s/x` and `t/x`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly prepare?: (context: string) => void;
  readonly edit?: (context: string) => void;
  readonly before?: Partial<BuildRequest>;
  readonly after?: Partial<BuildRequest>;
  readonly told: readonly string[];
}

const FILES = { a: "a\n", c: "c\n", "s/x": "x\n", "t/x": "t\n" };

const ROWS: Readonly<Record<string, Row>> = {
  "a shell form that becomes an exec form": {
    was: "RUN true",
    is: 'RUN ["true"]',
    told: ['command true -> ["true"]'],
  },
  "an exec form that becomes a shell form": {
    was: 'RUN ["echo","q"]',
    is: "RUN echo q",
    told: ['command ["echo","q"] -> echo q'],
  },
  "an argument of an exec form": {
    was: 'RUN ["echo","a","z"]',
    is: 'RUN ["echo","b","z"]',
    told: ['command ["echo","a","z"] -> ["echo","b","z"]'],
  },
  "SHELL and the command at once": {
    was: 'SHELL ["/bin/sh","-c"]\nRUN echo 1',
    is: 'SHELL ["/bin/sh","-ec"]\nRUN echo 2',
    told: ["SHELL /bin/sh -c -> /bin/sh -ec", "command echo 1 -> echo 2"],
  },
  "the owner of a cache mount": {
    was: "RUN --mount=type=cache,target=/c,uid=1 true",
    is: "RUN --mount=type=cache,target=/c,uid=2 true",
    told: ["--mount type=cache,target=/c,uid=1 -> type=cache,target=/c,uid=2"],
  },
  "an ssh mount": {
    was: "RUN true",
    is: "RUN --mount=type=ssh true",
    told: ["--mount is new: type=ssh"],
  },
  "a heredoc that gets a line for its interpreter": {
    was: "RUN <<E sh\necho 1\nE",
    is: "RUN <<E\n#!/bin/sh\necho 1\nE",
    told: ["command <<E sh echo 1 E -> <<E #!/bin/sh echo 1 E"],
  },
  "WORKDIR, which a mount is below": {
    was: "WORKDIR /w\nRUN --mount=source=a,target=m cat m",
    is: "WORKDIR /v\nRUN --mount=source=a,target=m cat m",
    told: ["WORKDIR /w -> /v"],
  },
  "a variable of one flag, and another flag": {
    was: "ARG O=1\nCOPY --chown=$O a /",
    is: "ARG O=2\nCOPY --chown=$O --chmod=600 a /",
    told: ["ARG O 1 -> 2", "--chmod is new: 600"],
  },
  "a variable of one flag, and another flag's value": {
    was: "ARG O=1\nCOPY --chown=$O --chmod=644 a /",
    is: "ARG O=2\nCOPY --chown=$O --chmod=600 a /",
    told: ["ARG O 1 -> 2", "--chmod 644 -> 600"],
  },
  "a source of --parents": {
    was: "COPY --parents d/*/x /q/",
    is: "COPY --parents d/*/y /q/",
    files: { "d/1/x": "x", "d/1/y": "y" },
    told: ["source d/*/x -> d/*/y"],
  },
  "a pivot of --parents": {
    was: "COPY --parents d/a/x /q/",
    is: "COPY --parents d/./a/x /q/",
    files: { "d/a/x": "x" },
    told: ["source d/a/x -> d/./a/x"],
  },
  "--parents, newly": {
    was: "COPY s/x /q/",
    is: "COPY --parents s/x /q/",
    told: ["--parents is new"],
  },
  "a symbolic --chmod": {
    was: "COPY --chmod=u+x a /a",
    is: "COPY --chmod=go-r a /a",
    told: ["--chmod u+x -> go-r"],
  },
  "a mode below a symbolic --chmod": {
    was: "COPY --chmod=+w a /a",
    prepare: (context) => fs.chmodSync(path.join(context, "a"), 0o640),
    edit: (context) => fs.chmodSync(path.join(context, "a"), 0o600),
    told: ["a changed (mode 0640 -> 0600)"],
  },
  "a variable and SOURCE_DATE_EPOCH at once": {
    was: "ARG D\nWORKDIR $D",
    before: { buildArgs: { D: "/x", SOURCE_DATE_EPOCH: "1" } },
    after: { buildArgs: { D: "/y", SOURCE_DATE_EPOCH: "2" } },
    told: ["ARG D /x -> /y", "SOURCE_DATE_EPOCH 1 -> 2"],
  },
  "--exclude and a new file at once": {
    was: "COPY --exclude=*.x s /s",
    is: "COPY --exclude=*.y s /s",
    files: { "s/1.x": "1", "s/1.y": "1" },
    edit: (context) => fs.writeFileSync(path.join(context, "s/new"), "new"),
    told: ["--exclude *.x -> *.y", "s/new added"],
  },
  "a variable that is written out": {
    was: "ENV V=a\nCOPY $V /b",
    is: "ENV V=a\nCOPY a /b",
    edit: (context) => fs.writeFileSync(path.join(context, "a"), "b\n"),
    told: ["a changed (content)"],
  },
  "a variable in another place of a copy": {
    was: "ENV V=a\nCOPY $V /b",
    is: "ENV V=a\nCOPY c /b",
    told: ["source a -> c"],
  },
  "the end of a long command": {
    was: `RUN echo ${"a".repeat(90)} && echo ${"b".repeat(90)} && echo c # ${"d".repeat(90)}`,
    is: `RUN echo ${"a".repeat(90)} && echo ${"b".repeat(90)} && echo e # ${"d".repeat(90)}`,
    told: [expect.stringMatching(/^command …b+ && echo c # d+… -> …b+ && echo e # d+…$/)],
  },
  "the middle of a long value": {
    was: `ENV A=${"a".repeat(200)}1${"b".repeat(200)}\nRUN true`,
    is: `ENV A=${"a".repeat(200)}2${"b".repeat(200)}\nRUN true`,
    told: [expect.stringMatching(/^ENV A …a+1b+… -> …a+2b+…$/)],
  },
  "the source of a mount": {
    was: "RUN true",
    is: "RUN --mount=type=bind,source=s,target=/s true",
    told: ["--mount is new: type=bind,source=s,target=/s"],
  },
  "a secret in the environment": {
    was: "RUN true",
    is: "RUN --mount=type=secret,id=zz,env=ZZ true",
    told: ["--mount is new: type=secret,id=zz,env=ZZ"],
  },
  "a stage that another one begins with": {
    was: "RUN echo 1 > /m\nFROM raw AS n\nRUN echo 2 > /n\nFROM first AS f\nRUN true",
    is: "RUN echo 1 > /m\nFROM raw AS n\nRUN echo 2 > /n\nFROM n AS f\nRUN true",
    told: ["FROM first -> n"],
  },
  "the name of a heredoc that is copied": {
    was: "COPY <<f1 /d/\none\nf1",
    is: "COPY <<f2 /d/\none\nf2",
    told: ["source f1 -> f2"],
  },
  "one source of several that goes": {
    was: "COPY a c /doc/",
    is: "COPY a /doc/",
    told: ["source was removed (c)"],
  },
  "one source of several that comes": {
    was: "COPY a c /doc/",
    is: "COPY a s/x c /doc/",
    told: ["source is new: s/x"],
  },
  "a stage put between": {
    was: "RUN true\nFROM raw AS final\nRUN echo 2",
    is: "RUN true\nFROM raw AS mid\nRUN echo 1 > /m\nFROM mid AS final\nRUN echo 2",
    told: ["FROM raw -> mid"],
  },
  "a hard link": {
    was: "COPY s /s",
    edit: (context) => fs.linkSync(path.join(context, "s/x"), path.join(context, "s/a")),
    told: ["s/a added"],
  },
  "a hard link that goes": {
    was: "COPY s /s",
    prepare: (context) => fs.linkSync(path.join(context, "s/x"), path.join(context, "s/a")),
    edit: (context) => fs.rmSync(path.join(context, "s/a")),
    told: ["s/a deleted"],
  },
  "a command with a heredoc": {
    was: "RUN <<E sh\necho one\necho two\nE",
    is: "RUN echo one && echo two",
    told: ["command <<E sh echo one echo two E -> echo one && echo two"],
  },
  "another file of the same name": {
    was: "COPY s/x /x",
    is: "COPY t/x /x",
    told: ["source s/x -> t/x"],
  },
  "another address of what is written alike": {
    was: "ARG V=s\nCOPY $V/x /x",
    is: "ARG V=t\nCOPY $V/x /x",
    told: ["ARG V s -> t"],
  },
  "a file whose name has a line end": {
    was: "COPY s /s",
    edit: (context) => fs.writeFileSync(path.join(context, "s/two\nlines"), ""),
    told: ["s/two lines added"],
  },
  "a file behind a link": {
    was: "COPY l /l",
    files: { "dir/f": "1" },
    prepare: (context) => fs.symlinkSync("dir/f", path.join(context, "l")),
    edit: (context) => fs.writeFileSync(path.join(context, "dir/f"), "2"),
    told: ["dir/f changed (content)"],
  },
  "a link on the way to a file": {
    was: "COPY cur/f /f\nCOPY cur /c",
    files: { "v1/f": "1", "v2/f": "2" },
    prepare: (context) => fs.symlinkSync("v1", path.join(context, "cur")),
    edit: (context) => {
      fs.rmSync(path.join(context, "cur"));
      fs.symlinkSync("v2", path.join(context, "cur"));
    },
    told: ["cur changed (link target v1 -> v2)"],
  },
  "a link that becomes a directory": {
    was: "COPY cur/f /f",
    files: { "v1/f": "1" },
    prepare: (context) => fs.symlinkSync("v1", path.join(context, "cur")),
    edit: (context) => {
      fs.rmSync(path.join(context, "cur"));
      fs.mkdirSync(path.join(context, "cur"));
      fs.writeFileSync(path.join(context, "cur/f"), "2");
    },
    told: ["cur changed (type symlink -> dir)"],
  },
  "a file in a directory that another one of the same content lies beside": {
    was: "COPY d/f /x\nCOPY e/f /y",
    files: { "d/f": "one", "e/f": "one" },
    edit: (context) => fs.writeFileSync(path.join(context, "e/f"), "2"),
    told: ["e/f changed (content)"],
  },
  "links that a wildcard leads through": {
    was: "COPY cur/* /f/",
    files: { "v1/f": "1", "v2/f": "2" },
    prepare: (context) => fs.symlinkSync("v1", path.join(context, "cur")),
    edit: (context) => {
      fs.rmSync(path.join(context, "cur"));
      fs.symlinkSync("v2", path.join(context, "cur"));
    },
    told: ["cur changed (link target v1 -> v2)"],
  },
};

test.each(Object.entries(ROWS))("told of %s is just that", async (name, row) => {
  const head = `# ${name}\nFROM raw AS first\n`;
  const context = world.files({ ...FILES, "s/name": name, ...row.files, Dockerfile: `${head}${row.was}\n` }, name);
  row.prepare?.(context);
  const buildContexts = { raw: `oci-layout://${BASE_LAYOUT}:latest` };
  await engine.build({ context, outputs: [], buildContexts, ...row.before });
  row.edit?.(context);
  if (row.is !== undefined) fs.writeFileSync(path.join(context, "Dockerfile"), `${head}${row.is}\n`);
  const { steps } = await engine.plan({ context, buildContexts, ...row.after });
  const causes = steps.flatMap((step) => (step.state === "run" ? (step.causes ?? []) : []));
  const told = causes.map(({ cause }) => missText({ causes: [{ cause }], omitted: 0 }));
  expect([...new Set(told)]).toEqual(row.told);
});

test.each([
  ["variable", (value: string) => `ENV Q=${value}`],
  ["trigger", (value: string) => `ONBUILD RUN echo ${value}`],
])("told of a base image that has another %s is the image", async (what, line) => {
  const buildContexts = (base: string) => ({ base: `oci-layout://${world.path(what, base)}:latest` });
  const context = world.files({ Dockerfile: "FROM base\nRUN echo $Q\nENV R=$Q\nRUN echo $R\n" }, `on-${what}`);
  fs.mkdirSync(world.path(what));
  for (const [value, dest] of [
    ["1", world.path(what, "base1")],
    ["2", world.path(what, "base2")],
  ] as const)
    await engine.build({
      context,
      dockerfileText: `FROM raw\n${line(value)}\n`,
      buildContexts: { raw: `oci-layout://${BASE_LAYOUT}:latest` },
      tags: ["latest"],
      outputs: [{ type: "oci", dest, attrs: { tar: "false" } }],
    });
  await engine.build({ context, outputs: [], buildContexts: buildContexts("base1") });
  const { misses } = await engine.build({ context, outputs: [], buildContexts: buildContexts("base2") });
  const kinds = misses.flatMap(({ causes }) => causes.map(({ cause }) => cause.kind));
  expect(new Set(kinds)).toEqual(new Set(["image"]));
});

test("told of an ARG that names another base image is the ARG", async () => {
  const base = `oci-layout://${BASE_LAYOUT}:latest`;
  const build = {
    context: world.files({ Dockerfile: "ARG BASE=here\nFROM $BASE\nRUN echo on $BASE\n" }, "named-by-arg"),
    buildContexts: { here: base, there: `oci-layout://${world.path("variable", "base2")}:latest` },
    outputs: [],
  };
  await engine.build(build);
  const { misses } = await engine.build({ ...build, buildArgs: { BASE: "there" } });
  const causes = misses.flatMap((miss) => miss.causes.map(({ cause }) => cause));
  expect(causes).toEqual([{ kind: "variable", variable: "ARG", name: "BASE", from: "here", to: "there" }]);
});

test("told of another address of a download is the address", async () => {
  const server = createServer((_, response) => response.end("text"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const [one, two] = ["one.txt", "two.txt"].map((name) => `http://127.0.0.1:${port}/${name}`);
  const build = (address: string | undefined) =>
    engine.build({ context: world.path(), dockerfileText: `FROM scratch\nADD ${address} /a\n`, outputs: [] });
  await build(one);
  const { misses } = await build(two);
  server.close();
  expect(misses.map(missText)).toEqual([`${one} -> ${two}`]);
});
