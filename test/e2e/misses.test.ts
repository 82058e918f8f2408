import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type BuildRequest,
  type BuildResult,
  createEngine,
  type Engine,
  type MissCause,
} from "../../src/engine/index.js";
import { BASE_LAYOUT, World } from "./world.js";

const FILES = 24;
/** The one that is copied with --link. */
const LINKED = 5;

/** Forty steps in two stages: most are copies, so that a build of them takes no time. */
const DOCKERFILE = `ARG TAG=latest
FROM base AS tools
WORKDIR /tools
COPY tools /tools
RUN cat /tools/* > /made
FROM base AS app
ARG VERSION=1
ENV MODE=fast PLACE=here
WORKDIR /app
${Array.from({ length: FILES }, (_, n) => `COPY ${n === LINKED ? "--link " : ""}f${n}.txt /app/`).join("\n")}
COPY src /app/src
COPY --from=extra x.txt /app/
COPY --from=tools /made .
COPY --chmod=644 flag.txt /flag
COPY <<DOC /doc
one
DOC
WORKDIR /later
COPY link /later/
WORKDIR /last
COPY f0.txt f1.txt /last/
SHELL ["/bin/sh", "-c"]
RUN echo $VERSION > /version
FROM app
ARG TAG
RUN <<END
echo $TAG > /tag
END
`;

let world: World;
let engine: Engine;
let context: string;
let request: BuildRequest;

beforeAll(async () => {
  world = new World();
  context = world.files({
    Dockerfile: DOCKERFILE,
    ".dockerignore": "*.tmp\n",
    "tools/a": "a\n",
    "tools/b": "b\n",
    "src/main.js": "main\n",
    "src/lib/util.js": "util\n",
    "src/lib/more.js": "more\n",
    "src/notes.md": "notes\n",
    "flag.txt": "flag\n",
    ...Object.fromEntries(Array.from({ length: FILES }, (_, n) => [`f${n}.txt`, `${n}\n`])),
  });
  fs.mkdirSync(path.join(context, "link"));
  fs.symlinkSync("a", path.join(context, "link/to"));
  world.files({ "x.txt": "x\n" }, "extra");
  world.files({ "x.txt": "other\n" }, "extra2");
  engine = await createEngine({ root: world.root, env: process.env });
  await layout("base", "FROM base\nRUN echo 1 > /base\n", `oci-layout://${BASE_LAYOUT}:latest`);
  request = {
    context,
    outputs: [],
    buildContexts: { base: `oci-layout://${world.path("base")}:latest`, extra: world.path("extra") },
  };
  await engine.build(request);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** Writes a base image of its own. */
async function layout(name: string, dockerfileText: string, base: string): Promise<void> {
  const dest = world.path(name);
  await engine.build({
    context,
    dockerfileText,
    buildContexts: { base },
    tags: ["latest"],
    outputs: [{ type: "oci", dest, attrs: { tar: "false" } }],
  });
}

const at = (name: string) => path.join(context, name);
const write = (name: string, text: string) => fs.writeFileSync(at(name), text);
const dockerfile = (from: string, to: string) => {
  const text = fs.readFileSync(at("Dockerfile"), "utf8");
  expect(text).toContain(from);
  write("Dockerfile", text.replace(from, to));
};

/** All that the build names as a cause, each once. */
function causes({ misses }: BuildResult): readonly MissCause[] {
  const all = misses.flatMap(({ causes }) => causes.map(({ cause }) => cause));
  return [...new Map(all.map((cause) => [JSON.stringify(cause), cause])).values()];
}

type Edit = {
  readonly edit?: () => void | Promise<void>;
  readonly request?: () => Partial<BuildRequest>;
  readonly causes: readonly object[];
};

const file = (path: string, change: object) => ({ kind: "file", path, change });
const EDITS: Readonly<Record<string, Edit>> = {
  "content of a file": {
    edit: () => write("src/lib/util.js", "changed\n"),
    causes: [file("src/lib/util.js", { kind: "content" })],
  },
  "mode of a file": {
    edit: () => fs.chmodSync(at("src/main.js"), 0o600),
    causes: [file("src/main.js", { kind: "mode", from: "0644", to: "0600" })],
  },
  "mode of a directory": {
    edit: () => fs.chmodSync(at("src/lib"), 0o700),
    causes: [file("src/lib", { kind: "mode", from: "0755", to: "0700" })],
  },
  "a file renamed": {
    edit: () => fs.renameSync(at("src/notes.md"), at("src/lib/read.md")),
    causes: [file("src/lib/read.md", { kind: "renamed", from: "src/notes.md" })],
  },
  "a file deleted": {
    edit: () => fs.rmSync(at("src/lib/more.js")),
    causes: [file("src/lib/more.js", { kind: "deleted" })],
  },
  "a file added": {
    edit: () => write("src/new.js", "new\n"),
    causes: [file("src/new.js", { kind: "added" })],
  },
  "target of a link": {
    edit: () => {
      fs.rmSync(at("link/to"));
      fs.symlinkSync("b", at("link/to"));
    },
    causes: [file("link/to", { kind: "target", from: "a", to: "b" })],
  },
  "a file that becomes a directory": {
    edit: () => {
      fs.rmSync(at("src/notes.md"));
      fs.mkdirSync(at("src/notes.md"));
    },
    causes: [file("src/notes.md", { kind: "type", from: "file", to: "dir" })],
  },
  "a rule of the ignore file": {
    edit: () => write(".dockerignore", "*.tmp\n**/*.md\n"),
    causes: [file("src/notes.md", { kind: "ignored", rule: "**/*.md" })],
  },
  "an ARG": {
    request: () => ({ buildArgs: { VERSION: "2" } }),
    causes: [{ kind: "variable", variable: "ARG", name: "VERSION", from: "1", to: "2" }],
  },
  "a global ARG": {
    request: () => ({ buildArgs: { TAG: "edge" } }),
    causes: [{ kind: "variable", variable: "ARG", name: "TAG", from: "latest", to: "edge" }],
  },
  "an ENV": {
    edit: () => dockerfile("ENV MODE=fast", "ENV MODE=slow"),
    causes: [{ kind: "variable", variable: "ENV", name: "MODE", from: "fast", to: "slow" }],
  },
  "a flag": {
    edit: () => dockerfile("--chmod=644", "--chmod=600"),
    causes: [{ kind: "instruction", part: "--chmod", from: "644", to: "600" }],
  },
  "the body of a heredoc that is copied": {
    edit: () => dockerfile("one\n", "two\n"),
    causes: [{ kind: "instruction", part: "heredoc" }],
  },
  "the body of a heredoc that is run": {
    edit: () => dockerfile("echo $TAG", "echo $TAG now"),
    causes: [{ kind: "instruction", part: "heredoc" }],
  },
  "a copy that is linked": {
    edit: () => dockerfile("COPY f3.txt /app/", "COPY --link f3.txt /app/"),
    causes: [{ kind: "instruction", part: "--link", to: "" }],
  },
  "a copy that is linked no longer": {
    edit: () => dockerfile("COPY --link f5.txt", "COPY f5.txt"),
    causes: [{ kind: "instruction", part: "--link", from: "" }],
  },
  "a mode for which a copy can't be linked": {
    edit: () => dockerfile("COPY --link f5.txt", "COPY --link --chmod=0600 f5.txt"),
    causes: [{ kind: "instruction", part: "--chmod", to: "600" }],
  },
  "a command that becomes a heredoc": {
    edit: () => dockerfile("RUN cat /tools/* > /made", "RUN <<X\ncat /tools/* > /made\nX"),
    causes: [
      {
        kind: "instruction",
        part: "command",
        from: "cat /tools/* > /made",
        to: "<<X cat /tools/* > /made X",
      },
    ],
  },
  "the command of a RUN": {
    edit: () => dockerfile("echo $VERSION >", "echo v$VERSION >"),
    causes: [
      { kind: "instruction", part: "command", from: "echo $VERSION > /version", to: "echo v$VERSION > /version" },
    ],
  },
  SHELL: {
    edit: () => dockerfile('SHELL ["/bin/sh", "-c"]', 'SHELL ["/bin/sh", "-ec"]'),
    causes: [{ kind: "instruction", part: "SHELL", from: "/bin/sh -c", to: "/bin/sh -ec" }],
  },
  "a named context": {
    request: () => ({ buildContexts: { ...request.buildContexts, extra: world.path("extra2") } }),
    causes: [
      { kind: "context", name: "extra" },
      { kind: "file", path: "x.txt", context: "extra", change: { kind: "content" } },
    ],
  },
  "an earlier stage": {
    edit: () => write("tools/b", "changed\n"),
    causes: [file("tools/b", { kind: "content" })],
  },
  "two at once": {
    edit: () => write("f20.txt", "changed\n"),
    request: () => ({ buildArgs: { VERSION: "3" } }),
    causes: [file("f20.txt", { kind: "content" }), { kind: "variable", variable: "ARG", name: "VERSION" }],
  },
  "a line added": {
    edit: () => dockerfile("COPY src /app/src", "COPY f2.txt /added\nCOPY src /app/src"),
    causes: [{ kind: "step", change: "added" }],
  },
  "a line removed": {
    edit: () => dockerfile("COPY f12.txt /app/\n", ""),
    causes: [{ kind: "step", change: "removed" }],
  },
  "two lines swapped": {
    edit: () => dockerfile("COPY f3.txt /app/\nCOPY f4.txt /app/", "COPY f4.txt /app/\nCOPY f3.txt /app/"),
    causes: [{ kind: "step", change: "moved" }],
  },
  "the order of variables": {
    edit: () => dockerfile("ARG VERSION=1\nENV MODE=fast PLACE=here", "ENV PLACE=here MODE=fast\nARG VERSION=1"),
    causes: [{ kind: "instruction", part: "order of variables" }],
  },
  "a directory that paths start at": {
    edit: () => dockerfile("WORKDIR /app\n", "WORKDIR /apps\n"),
    causes: [{ kind: "instruction", part: "WORKDIR", from: "/app", to: "/apps" }],
  },
  "a bound of every process": {
    request: () => ({ ulimits: [{ name: "nofile", soft: 100, hard: 200 }] }),
    causes: [{ kind: "instruction", part: "--ulimit", to: "nofile=100:200" }],
  },
  "a stage without the cache": {
    request: () => ({ noCache: ["tools"] }),
    causes: [{ kind: "no-cache", stage: "tools" }],
  },
  "the base image": {
    edit: () => layout("base", "FROM base\nRUN echo 2 > /base\n", `oci-layout://${BASE_LAYOUT}:latest`),
    causes: [{ kind: "image", from: expect.stringMatching(/^sha256:/), to: expect.stringMatching(/^sha256:/) }],
  },
};

test.each(Object.entries(EDITS))("%s is named as the cause, and nothing else", async (_, { edit, ...expected }) => {
  const saved = world.path("saved");
  fs.cpSync(context, saved, { recursive: true, verbatimSymlinks: true });
  await edit?.();
  const changed = await engine.build({ ...request, ...expected.request?.() });
  fs.rmSync(context, { recursive: true });
  fs.renameSync(saved, context);
  expect(causes(changed)).toEqual(expected.causes.map((cause) => expect.objectContaining(cause)));
  expect((await engine.build(request)).misses).toEqual([]);
});

test("a file that is only touched is no cause of anything", async () => {
  for (const name of ["f1.txt", "src/main.js"]) fs.utimesSync(at(name), 1, 1);
  const { misses, steps } = await engine.build(request);
  expect(misses).toEqual([]);
  expect(steps.filter(({ cached }) => !cached)).toEqual([]);
});

test("the cause of a context that lies elsewhere is what differs there: that it moved makes no step run", async () => {
  const elsewhere = world.path("elsewhere");
  fs.cpSync(context, elsewhere, { recursive: true, verbatimSymlinks: true });
  fs.writeFileSync(path.join(elsewhere, "f23.txt"), "changed\n");
  const moved = await engine.build({ ...request, context: elsewhere });
  expect(causes(moved)).toEqual([file("f23.txt", { kind: "content" })]);
});

test("a step that was made from the same and gave something else is named with why it ran again", async () => {
  const dockerfileText =
    "FROM base AS random\nRUN cat /proc/sys/kernel/random/uuid > /id\nFROM base\nCOPY --from=random /id /\nRUN cat /id\n";
  const random = { ...request, dockerfileText, dockerfile: "random" };
  await engine.build(random);
  for (const noCache of [["random"], ["random"]]) {
    const { misses } = await engine.build({ ...random, noCache });
    expect(misses).toHaveLength(3);
    for (const { causes } of misses) expect(causes).toMatchObject([{ cause: { kind: "no-cache", stage: "random" } }]);
  }
});

test("what a secret is part of is neither told nor kept", async () => {
  const text = "FROM scratch\nARG NPM_TOKEN\nENV X=v$NPM_TOKEN\nCOPY f1.txt /a-$X\nWORKDIR /w-$X\nCOPY f1.txt b\n";
  const build = (token: string) =>
    engine.build({ context, dockerfileText: text, buildArgs: { NPM_TOKEN: token }, outputs: [] });
  const results = [await build("zqxone"), await build("zqxtwo")];
  const causes = [{ cause: { kind: "variable", variable: "ARG", name: "NPM_TOKEN" } }];
  expect(results[1]?.misses[0]?.causes).toEqual(causes);
  expect(JSON.stringify(results)).not.toMatch(/zqx/);
  const database = fs.readdirSync(world.root).filter((name) => name.startsWith("ashlar.db"));
  for (const name of database) expect(fs.readFileSync(path.join(world.root, name)).includes("zqx")).toBe(false);
});

test("a plan says what a build then does, and does nothing", async () => {
  const made = () => fs.readdirSync(path.join(world.root, "layers")).toSorted();
  const edit = { buildArgs: { TAG: "planned" } };
  expect(await engine.plan(request)).toMatchObject({ isCached: true, pulls: [] });
  const changed = { ...request, ...edit };
  write("tools/a", "planned\n");
  const before = made();
  const plan = await engine.plan(changed);
  expect(made()).toEqual(before);
  expect(plan.isCached).toBe(false);
  const { steps, misses } = await engine.build(changed);
  const ran = new Set(steps.filter(({ cached }) => !cached).map(({ name }) => name));
  for (const { name, state } of plan.steps) {
    if (state === "cached") expect(ran).not.toContain(name);
    if (state === "run") expect(ran).toContain(name);
  }
  expect(plan.steps.find(({ name }) => name.includes("COPY --from=tools"))).toMatchObject({
    state: "depends",
    on: expect.stringContaining("RUN cat"),
  });
  const told = new Map(misses.map(({ vertex, causes }) => [vertex, causes]));
  for (const step of plan.steps) if (step.state === "run") expect(step.causes).toEqual(told.get(step.vertex));
  write("tools/a", "a\n");
});

test("the last two records of a step are shown side by side, by any of its addresses", async () => {
  const build = { ...request, buildArgs: { VERSION: "explained" } };
  await engine.build(build);
  const lines = fs.readFileSync(at("Dockerfile"), "utf8").split("\n");
  const line = lines.findIndex((each) => each.startsWith("RUN echo $VERSION")) + 1;
  const explained = await engine.explain({ build: request, step: `Dockerfile:${line}` });
  expect(explained).toMatchObject({
    step: expect.stringContaining("RUN echo"),
    newer: { facts: { "ARG VERSION": "explained", args: "/bin/sh -c echo $VERSION > /version" } },
    older: { facts: { "ARG VERSION": expect.any(String) } },
  });
  expect(explained.causes[0]).toMatchObject({ cause: { kind: "variable", name: "VERSION", to: "explained" } });
  expect(await engine.explain({ build: request, step: "app" })).toEqual(explained);
  await expect(engine.explain({ build: request, step: "Dockerfile:2" })).rejects.toMatchObject({ code: "not-found" });
  await expect(engine.explain({ build: request, step: "nothing" })).rejects.toMatchObject({ code: "not-found" });
});

test("a plan on an empty cache says what would be pulled", async () => {
  await using other = await createEngine({ root: world.path("other"), env: process.env });
  const plan = await other.plan(request);
  expect(plan.pulls).toMatchObject([{ image: expect.stringContaining("oci-layout://"), platform: "linux/amd64" }]);
  expect(plan.pulls[0]?.sizeBytes).toBeGreaterThan(100_000);
  expect(plan.steps.map(({ state }) => state)).not.toContain("cached");
});

test("what was pruned is said to be", async () => {
  await engine.prune({ all: true });
  const { misses } = await engine.build(request);
  expect(misses.length).toBeGreaterThan(30);
  expect(
    new Set(misses.flatMap(({ causes }) => causes.map(({ cause }) => JSON.stringify({ ...cause, at: 0 })))),
  ).toEqual(new Set([JSON.stringify({ kind: "record", gone: "pruned", at: 0 })]));
});

test("what is edited while a step is cached is no cause in what explains it", async () => {
  const text =
    "FROM base AS one\nARG MARK\nCOPY tools /t\nRUN cat /t/* > /one\nRUN true\n" +
    "FROM base AS two\nRUN --mount=type=bind,from=one,source=/one,target=/one cat /one > /two\n";
  const build = { ...request, dockerfileText: text };
  await engine.build(build);
  write("tools/a", "explained\n");
  await engine.build(build);
  const { misses } = await engine.build({ ...build, buildArgs: { MARK: "x" } });
  expect(misses.map(({ step }) => step)).not.toContainEqual(expect.stringContaining("two"));
  const { causes } = await engine.explain({ build, step: "two:1" });
  expect(causes.map(({ cause }) => cause)).toMatchObject([{ kind: "file", path: "tools/a" }]);
});
