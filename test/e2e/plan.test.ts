import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import {
  type BuildPlan,
  type BuildRequest,
  type BuildResult,
  createEngine,
  type Engine,
} from "../../src/engine/index.js";
import { startRegistry } from "../registry/docker-registry.js";
import { BASE_LAYOUT, needs, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const DOCKERFILE = `FROM base AS build
WORKDIR /src
RUN echo deps > deps
COPY app.txt .
RUN cat app.txt deps > out
FROM base
RUN echo first > /first
COPY --from=build /src/out /out
RUN echo last > /last
`;

function request(options: Partial<BuildRequest> = {}): BuildRequest {
  const context = world.files({ Dockerfile: DOCKERFILE, "app.txt": "app\n" });
  return { context, outputs: [], buildContexts: { base: `oci-layout://${BASE_LAYOUT}:latest` }, ...options };
}

/** A machine: a state directory of its own. */
function machine(name: string): Promise<Engine> {
  return createEngine({ root: world.path(name), env: process.env });
}

const statesOf = ({ steps }: BuildPlan) => steps.map(({ state }) => state);
const ranIn = ({ steps }: BuildResult) => steps.filter(({ cached }) => !cached).map(({ name }) => name);
const willRun = ({ steps }: BuildPlan) => steps.filter(({ state }) => state === "run").map(({ name }) => name);
const layersOn = (name: string) =>
  fs.readdirSync(path.join(world.path(name), "layers")).filter((layer) => layer !== "empty");

test("a plan tells what another machine's cache has, and takes nothing of it; the build after it agrees", async (context) => {
  needs(context, "docker-registry");
  await using registry = await startRegistry("plain");
  const ref = `${registry.name}/team/app:cache`;
  const cacheFrom: BuildRequest["cacheFrom"] = [{ type: "registry", attrs: { ref } }];
  {
    await using one = await machine("one");
    await one.build(request({ cacheTo: [{ type: "registry", attrs: { ref, mode: "max" } }] }));
  }
  await using two = await machine("two");
  const plan = await two.plan(request({ cacheFrom }));
  expect(plan).toMatchObject({ isCached: true, pulls: [] });
  for (const step of plan.steps) expect(step).toMatchObject({ state: "cached", cache: ref });
  // Files that are written are made of all layers.
  const written = { ...request({ cacheFrom }), outputs: [{ type: "local" as const, dest: world.path("out") }] };
  expect(await two.plan(written)).toMatchObject({
    isCached: true,
    pulls: [{ cache: ref, layers: 4, isCertain: true }],
  });
  // Nothing was kept: without the cache all of it would run.
  expect(new Set(statesOf(await two.plan(request())))).not.toContain("cached");

  const edited = request({ cacheFrom, dockerfileText: DOCKERFILE.replace("echo last", "echo other") });
  const changed = await two.plan(edited);
  expect(layersOn("two")).toEqual([]);
  expect(willRun(changed)).toEqual([expect.stringContaining("echo other")]);
  const built = await two.build(edited);
  expect(ranIn(built)).toEqual(willRun(changed));
  const pulled = changed.pulls.map(({ layers }) => layers).reduce((sum, layers) => sum + layers, 0);
  expect(changed.pulls).toContainEqual(expect.objectContaining({ cache: ref, isCertain: true }));
  expect(layersOn("two")).toHaveLength(pulled + 1);
  // What was found there is this machine's now, but for what nobody needed.
  const after = await two.plan(edited);
  const rewritten = await two.plan({ ...edited, outputs: written.outputs });
  expect(rewritten.pulls).toEqual([]); // it was all pulled for the step that ran
  expect(after).toMatchObject({ isCached: true, pulls: [] });
  expect(after.steps.find(({ name }) => name.includes("COPY --from=build"))).not.toHaveProperty("cache");
});

test("a plan goes on without a cache that can't be read", async () => {
  await using engine = await machine("one");
  const warnings: string[] = [];
  const plan = await engine.plan(
    request({
      cacheFrom: [
        { type: "registry", attrs: { ref: "127.0.0.1:1/nothing:here" } },
        { type: "local", attrs: { src: world.path("none") } },
      ],
      onProgress: (event) => event.type === "warning" && warnings.push(event.warning.message),
    }),
  );
  expect(plan.isCached).toBe(false);
  expect(warnings.toSorted()).toEqual([
    expect.stringContaining("failed to import the cache 127.0.0.1:1/nothing:here"),
    expect.stringContaining(`failed to import the cache local:${world.path("none")}`),
  ]);
});

test("a cache of the image's layers alone is no place of what a changed step needs", async () => {
  const place = world.path("cache");
  {
    await using one = await machine("one");
    const { caches } = await one.build(request({ cacheTo: [{ type: "local", attrs: { dest: place } }] }));
    const { manifests } = JSON.parse(fs.readFileSync(path.join(place, "index.json"), "utf8"));
    expect(manifests).toMatchObject(caches);
    expect(caches).toHaveLength(1);
  }
  await using two = await machine("two");
  const cacheFrom: BuildRequest["cacheFrom"] = [{ type: "local", attrs: { src: place } }];
  expect(await two.plan(request({ cacheFrom }))).toMatchObject({ isCached: true, pulls: [] });
  const edited = request({ cacheFrom, dockerfileText: DOCKERFILE.replace("deps > out", "deps > out #") });
  expect(ranIn(await two.build(request({ cacheFrom, dockerfileText: DOCKERFILE })))).toEqual([]);
  const plan = await two.plan(edited);
  const built = await two.build(edited);
  const ran = ranIn(built);
  expect(built.misses.find(({ step }) => step.includes("echo deps"))?.causes).toEqual([
    { cause: { kind: "record", gone: "missing" } },
  ]);
  expect(built.misses.find(({ step }) => step.includes("cat app.txt"))?.causes).toMatchObject([
    { cause: { kind: "instruction", part: "command" } },
  ]);
  expect(ran).toEqual(expect.arrayContaining(willRun(plan)));
  expect(willRun(plan).join()).toContain("echo deps");
  for (const { name, state } of plan.steps) if (state === "cached") expect(ran).not.toContain(name);
});

test("nothing is said to be pulled for steps that ask for no files of what they are laid over", async () => {
  await using engine = await machine("one");
  const linked = request({ dockerfileText: "FROM base\nCOPY --link app.txt /\n" });
  expect(await engine.plan(linked)).toMatchObject({ isCached: false, pulls: [] });
  await engine.build(linked);
  const run = request({ dockerfileText: "FROM base\nCOPY --link app.txt /\nRUN cat /app.txt\n" });
  const { pulls } = await engine.plan(run);
  expect(pulls).toMatchObject([{ image: expect.stringContaining("oci-layout://"), isCertain: true }]);
});

test("a plan tells of a heredoc that changed why its text is made", async () => {
  await using engine = await machine("one");
  const text = (line: string) => `FROM base\nCOPY <<A /a\n${line}\nA\nRUN cat /a\n`;
  await engine.build(request({ dockerfileText: text("one") }));
  const plan = await engine.plan(request({ dockerfileText: text("two") }));
  expect(plan.steps).toMatchObject([
    { state: "run", causes: [{ cause: { kind: "instruction", part: "heredoc" } }] },
    { state: "depends", name: expect.stringContaining("COPY <<A /a") },
    { state: "depends", on: expect.stringContaining("COPY <<A /a") },
  ]);
});
