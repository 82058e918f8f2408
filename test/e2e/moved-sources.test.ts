import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import {
  type BuildRequest,
  type BuildResult,
  createEngine,
  type Engine,
  type MissCause,
} from "../../src/engine/index.js";
import { commit, type GitServer, git, makeRepository, startGitServer } from "../sources/git-server.js";
import { entity, plain, startWebServer, type WebServer } from "../sources/web-server.js";
import { needs, World } from "./world.js";

let world: World;
let web: WebServer;
let engine: Engine;

beforeAll(async () => {
  world = new World();
  web = await startWebServer();
  engine = await createEngine({ root: world.root, env: process.env });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** A build of a Dockerfile of its own: NAME tells its past from that of others. */
function request(name: string, dockerfileText: string): BuildRequest {
  return { context: world.files({}, name), dockerfileText, outputs: [] };
}

/** All that the build names as a cause, each once. */
function causes({ misses }: BuildResult): readonly MissCause[] {
  const all = misses.flatMap(({ causes }) => causes.map(({ cause }) => cause));
  return [...new Map(all.map((cause) => [JSON.stringify(cause), cause])).values()];
}

/** Builds what a plan was made of before: steps that it said would run, did; those that it said were cached, were. */
async function planned(build: BuildRequest): Promise<BuildResult> {
  const { steps, isCached } = await engine.plan(build);
  const built = await engine.build(build);
  const ran = new Set(built.steps.filter(({ cached }) => !cached).map(({ name }) => name));
  for (const { name, state } of steps) {
    if (state === "run") expect(ran).toContain(name);
    if (state === "cached") expect(ran).not.toContain(name);
  }
  expect(isCached).toBe(ran.size === 0);
  const told = new Map(built.misses.map((miss) => [miss.vertex, miss.causes]));
  for (const step of steps) if (step.state === "run") expect(step.causes).toEqual(told.get(step.vertex));
  return built;
}

const moved = (address: string, from: string, to: string) => ({ kind: "source", address, from, to });

test("a download that changed is named with what it was, whatever its server knows of versions", async () => {
  for (const [name, served] of Object.entries({ tagged: entity, untagged: plain })) {
    const [one, two] = [`${name} one`, `${name} two`];
    const url = `${web.url}/${name}`;
    web.answer(`/${name}`, served(one));
    const build = request(name, `FROM scratch AS first\nADD ${url} /a\nFROM scratch\nCOPY --from=first /a /b\n`);
    await engine.build(build);
    expect(causes(await planned(build))).toEqual([]);
    web.answer(`/${name}`, served(two));
    const built = await planned(build);
    expect(causes(built)).toEqual([moved(url, digestOf(one), digestOf(two))]);
    expect(built.misses).toHaveLength(2);
  }
});

test("a download that only has another time makes nothing else run", async () => {
  const at = (time: string) => entity("same", { "last-modified": time });
  web.answer("/time", at("Tue, 15 Nov 1994 08:12:31 GMT"));
  const build = request(
    "time",
    `FROM scratch AS first\nADD ${web.url}/time /a\nFROM scratch\nCOPY --from=first /a /b\n`,
  );
  await engine.build(build);
  web.answer("/time", plain("same", { "last-modified": "Wed, 16 Nov 1994 08:12:31 GMT" }));
  const { misses, steps } = await planned(build);
  expect(misses).toEqual([]);
  expect(steps.filter(({ name, cached }) => !cached && name.includes("COPY"))).toEqual([]);
});

test("another checksum is the cause, and not what it lets in", async () => {
  const [one, two] = [digestOf("1"), digestOf("2")];
  const url = `${web.url}/sum`;
  const build = (checksum: string) => request("sum", `FROM scratch\nADD --checksum=${checksum} ${url} /a\n`);
  web.answer("/sum", plain("1"));
  await engine.build(build(one));
  web.answer("/sum", plain("2"));
  expect(causes(await planned(build(one)))).toEqual([]);
  expect(causes(await planned(build(two)))).toEqual([{ kind: "instruction", part: "--checksum", from: one, to: two }]);
});

test("another address is told as one", async () => {
  web.answer("/here", entity("here"));
  web.answer("/there", entity("there"));
  const build = (name: string) => request("address", `FROM scratch\nADD ${web.url}/${name} /a\n`);
  await engine.build(build("here"));
  const built = await planned(build("there"));
  expect(causes(built)).toContainEqual(moved(`${web.url}/there`, `${web.url}/here`, `${web.url}/there`));
});

let server: GitServer;
const repository = () => world.path("repo");

beforeEach(async (context) => {
  if (!/branch|tag|repository/.test(context.task.name)) return;
  needs(context, "git");
  server = await startGitServer(world.dir);
  return () => server[Symbol.asyncDispose]();
});

test("a branch and a tag that moved are named with their commits", async () => {
  makeRepository(repository());
  commit(repository(), { file: "one" });
  git(repository(), "tag", "v1");
  const remote = `${server.url}/repo/.git`;
  for (const ref of ["main", "v1"]) {
    const build = request(ref, `FROM scratch\nADD ${remote}#${ref} /all\n`);
    await engine.build(build);
    expect(causes(await planned(build))).toEqual([]);
    const before = git(repository(), "rev-parse", ref);
    commit(repository(), { file: `after ${ref}` });
    if (ref === "v1") git(repository(), "tag", "--force", "v1");
    const built = await planned(build);
    expect(causes(built)).toEqual([
      { kind: "source", address: `${remote}#${ref}`, from: before, to: git(repository(), "rev-parse", ref) },
    ]);
  }
});

test("a repository at another commit by its checksum is told by that", async () => {
  makeRepository(world.path("sum-repo"));
  const one = commit(world.path("sum-repo"), { file: "sum one" });
  const two = commit(world.path("sum-repo"), { file: "sum two" });
  const remote = `${server.url}/sum-repo/.git`;
  const build = (id: string) => request("git-sum", `FROM scratch\nADD --checksum=${id} ${remote} /all\n`);
  git(world.path("sum-repo"), "reset", "-q", "--hard", one);
  await engine.build(build(one));
  git(world.path("sum-repo"), "reset", "-q", "--hard", two);
  expect(causes(await planned(build(two)))).toEqual([{ kind: "instruction", part: "--checksum", from: one, to: two }]);
});

test("a context that is a repository is told by its commit", async () => {
  makeRepository(world.path("context-repo"));
  commit(world.path("context-repo"), { Dockerfile: "FROM scratch\nCOPY a /\nCOPY b /\n", a: "a", b: "b" });
  const build = { context: `${server.url}/context-repo/.git#main`, outputs: [] };
  await engine.build(build);
  const before = git(world.path("context-repo"), "rev-parse", "HEAD");
  commit(world.path("context-repo"), { b: "changed" });
  const { misses } = await planned(build);
  expect(misses.map(({ step }) => step)).toEqual([expect.stringContaining("COPY b /")]);
  expect(misses[0]?.causes).toEqual([
    { cause: { kind: "source", address: expect.stringContaining("#main"), from: before, to: expect.any(String) } },
  ]);
});
