import { expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import type { BuildPlan, BuildRequest } from "../../src/engine/index.js";
import { finished } from "./world.js";

const PLAN: BuildPlan = {
  steps: [
    { name: "[1/3] WORKDIR /w", vertex: "sha256:1", state: "cached" },
    {
      name: "[2/3] COPY a /",
      vertex: "sha256:2",
      state: "run",
      causes: [{ cause: { kind: "file", path: "a", change: { kind: "content" } } }],
    },
    { name: "[3/3] RUN make", vertex: "sha256:3", state: "depends", on: "[2/3] COPY a /" },
  ],
  pulls: [
    { image: "docker.io/library/alpine:3", platform: "linux/amd64", layers: 1, sizeBytes: 3_400_000, isCertain: true },
  ],
  isCached: false,
};

test("--plan tells on standard output what would run and why, and ends with 3", async () => {
  const { code, out } = await finished(["build", "--plan", "/"], { engine: { plan: PLAN } });
  expect(code).toBe(3);
  expect(out).toBe(`[1/3] WORKDIR /w
   cached
[2/3] COPY a /
   will run: a changed (content)
[3/3] RUN make
   depends on what [2/3] COPY a / gives
would pull docker.io/library/alpine:3 (linux/amd64): 3.40MB in 1 layer
1 of 3 steps are cached, 1 would run, 1 depends on what they give
`);
});

test("--plan names the step that another one follows from, and says how many causes it leaves out", async () => {
  const name = "[1/2] COPY src /src";
  const cause = { kind: "file", path: "src/a", change: { kind: "content" } } as const;
  const steps: BuildPlan["steps"] = [
    { name, vertex: digestOf("1"), state: "run", causes: [{ cause }], omitted: 995 },
    {
      name: "[2/2] RUN make",
      vertex: "sha256:2",
      state: "run",
      causes: [{ cause, step: { name, digest: digestOf("1") } }],
      omitted: 995,
    },
  ];
  const engine = { plan: { steps, pulls: [], isCached: false } };
  expect((await finished(["build", "--plan", "/"], { engine })).out).toBe(`${name}
   will run: src/a changed (content); 995 more
[2/2] RUN make
   will run: follows from ${name}
0 of 2 steps are cached, 2 would run
`);
  const { out } = await finished(["build", "--plan=json", "/"], { engine });
  expect(JSON.parse(out).steps[0]).toMatchObject({ omitted: 995, text: "src/a changed (content); 995 more" });
});

test("--plan names the cache of another machine that has a step, and what would be fetched from it", async () => {
  const plan: BuildPlan = {
    steps: [
      { name: "[1/2] RUN make", vertex: "sha256:1", state: "cached", cache: "registry.example.com/app:cache" },
      { name: "[2/2] RUN test", vertex: "sha256:2", state: "run" },
    ],
    pulls: [{ cache: "registry.example.com/app:cache", layers: 2, sizeBytes: 1000, isCertain: false }],
    isCached: false,
  };
  expect(await finished(["build", "--plan", "/"], { engine: { plan } })).toMatchObject({
    code: 3,
    out: `[1/2] RUN make
   cached in registry.example.com/app:cache
[2/2] RUN test
   will run
may pull from registry.example.com/app:cache: 1.00kB in 2 layers
1 of 2 steps are cached, 1 would run
`,
  });
  const { out } = await finished(["build", "--plan=json", "/"], { engine: { plan } });
  expect(JSON.parse(out)).toMatchObject({
    steps: [{ state: "cached", cache: "registry.example.com/app:cache" }, { state: "run" }],
    pulls: [{ cache: "registry.example.com/app:cache", layers: 2, sizeBytes: 1000, certain: false }],
  });
});

test("--plan=json is for programs, and ends with 0 where all is cached", async () => {
  const plan = { steps: PLAN.steps.slice(0, 1), pulls: [], isCached: true };
  const { code, out, requests } = await finished(["build", "/", "--plan=json"], { engine: { plan } });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({
    version: 1,
    cached: true,
    steps: [{ name: "[1/3] WORKDIR /w", vertex: "sha256:1", state: "cached" }],
    pulls: [],
  });
  expect(requests).toMatchObject([{ context: "/" }]);
});

test("--plan tells warnings on standard error", async () => {
  const plan = async ({ onProgress }: BuildRequest) => {
    onProgress?.({ type: "warning", vertex: undefined, warning: { message: "failed to import the cache" } });
    return PLAN;
  };
  const { code, out, err } = await finished(["build", "--plan", "/"], { engine: { plan } });
  expect(code).toBe(3);
  expect(err).toContain("failed to import the cache");
  expect(out).not.toContain("failed to import");
});

test("--plan tells the engine what would be written, and writes nothing", async () => {
  const words = ["build", "--plan", "-o", "out.d", "-o", "-", "--load", "--push", "-t", "app", "/"];
  const { requests } = await finished(words, { engine: { plan: PLAN } });
  expect(requests[0]?.outputs?.map(({ type }) => type)).toEqual(["local", "tar", "docker", "image"]);
});

test.each([
  [["--plan=yaml", "/"], "--plan"],
  [["--plan", "--check", "/"], "cannot be used together"],
])("%j is refused", async (words, sentence) => {
  const { code, err } = await finished(["build", ...words], {});
  expect(code).toBe(125);
  expect(err).toContain(sentence);
});

test("--plan=false builds", async () => {
  const { code, requests } = await finished(["build", "--plan=false", "/"], { engine: { plan: PLAN } });
  expect(code).toBe(0);
  expect(requests).toHaveLength(1);
});
