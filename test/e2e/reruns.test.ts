import fs from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BuildRequest, type BuildResult, createEngine, type Engine } from "../../src/engine/index.js";
import { BASE_LAYOUT, World } from "./world.js";

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

/** A build of a context of its own; what it copies has no definition, so that every step is looked up by content. */
function request(name: string, dockerfileText: string): BuildRequest {
  const context = world.files({ seed: `${name}\n`, other: "other\n" }, name);
  return { context, dockerfileText, outputs: [], buildContexts: { base: `oci-layout://${BASE_LAYOUT}:latest` } };
}

const ranIn = ({ steps }: BuildResult) => steps.filter(({ cached }) => !cached).map(({ name }) => name);

/** Removes the record of one step, as `prune --filter id=` does. */
async function forget(command: string): Promise<void> {
  const { records } = await engine.prune({ filters: [({ description }) => description.includes(command)] });
  expect(records).toBe(1);
}

const PRUNED = { kind: "record", gone: "pruned" };

test("of a step whose record was pruned, and that gives the same again, nothing follows", async () => {
  const build = request(
    "same",
    "FROM base AS made\nCOPY seed /seed\nRUN cp /seed /same\nFROM base\nCOPY --from=made /same /\nRUN cat /same\n",
  );
  await engine.build(build);
  await forget("cp /seed /same");
  const plan = await engine.plan(build);
  expect(plan.steps.map(({ state }) => state).toSorted()).toEqual(["cached", "depends", "depends", "run"]);
  const built = await engine.build(build);
  expect(ranIn(built)).toEqual([expect.stringContaining("cp /seed /same")]);
  expect(built.misses).toMatchObject([{ causes: [{ cause: PRUNED }], omitted: 0 }]);
  expect((await engine.build(build)).misses).toEqual([]);
});

test("of one that gives something else, those that take it say so, and why it ran again; so does what is shown later", async () => {
  const random = "cat /seed /proc/sys/kernel/random/uuid > /random";
  const build = request(
    "random",
    `FROM base AS made\nCOPY seed /seed\nRUN ${random}\nFROM base\nCOPY --from=made /random /\nRUN cat /random\n`,
  );
  await engine.build(build);
  await forget(random);
  const built = await engine.build(build);
  const told = new Map(built.misses.map(({ step, causes }) => [step.replace(/^.*?\] /, ""), causes]));
  expect([...told.keys()]).toEqual([`RUN ${random}`, "COPY --from=made /random /", "RUN cat /random"]);
  expect(told.get(`RUN ${random}`)).toMatchObject([{ cause: PRUNED }]);
  const result = { cause: { kind: "result", reason: PRUNED }, step: { name: expect.stringContaining(random) } };
  expect(told.get("COPY --from=made /random /")).toMatchObject([result]);
  expect(told.get("RUN cat /random")).toMatchObject([result]);
  // Another build, in which nothing of this runs, is remembered since.
  await engine.build({ ...build, dockerfileText: `${build.dockerfileText}RUN true\n` });
  for (const step of ["made:2", "1:1", "1:2"]) {
    const explained = engine.explain({ build, step });
    if (step === "made:2") expect((await explained).older).toBeUndefined();
    else expect((await explained).causes).toMatchObject([result]);
  }
});

test("what was pruned is told of steps that the builds since then had no need to look at", async () => {
  const build = request("unneeded", "FROM base AS made\nRUN echo unneeded > /made\nRUN true\nFROM made\nCOPY seed /\n");
  await engine.build(build);
  // More builds than are remembered, each of which finds the stage as a whole.
  for (let n = 0; n < 13; n++) {
    fs.writeFileSync(world.path("unneeded", "seed"), `${n}\n`);
    await engine.build(build);
  }
  await engine.prune({ filters: [({ description }) => /echo unneeded|RUN true|COPY seed/.test(description)] });
  const { misses } = await engine.build(build);
  expect(misses).toHaveLength(3);
  for (const { causes } of misses) expect(causes).toMatchObject([{ cause: PRUNED }]);
});

test("a build of which all was cached is what the next one at its place is compared with", async () => {
  const text = "FROM base\nCOPY seed /\nCOPY other /\nRUN cat /seed\n";
  const one = request("first-place", text);
  await engine.build(one);
  const two = { ...request("second-place", text), dockerfile: "elsewhere" };
  fs.copyFileSync(world.path("first-place", "seed"), world.path("second-place", "seed"));
  expect(ranIn(await engine.build(two))).toEqual([]);
  fs.writeFileSync(world.path("second-place", "other"), "changed\n");
  const { misses } = await engine.build(two);
  expect(misses).toHaveLength(2);
  for (const { causes } of misses)
    expect(causes).toMatchObject([{ cause: { kind: "file", path: "other", change: { kind: "content" } } }]);
});

test("a file that changes between the look at it and its copy is looked at once more, and is no other's later", async () => {
  const text = "FROM base AS slow\nRUN echo slow > /slow\nFROM base\nCOPY --from=slow /slow /\nCOPY . /made\n";
  const build = request("racing", `${text}RUN --mount=source=.,target=/m cp /m/seed /mounted\n`);
  const seed = world.path("racing", "seed");
  const made = async (onProgress?: BuildRequest["onProgress"]) => {
    const dest = world.path("made");
    fs.rmSync(dest, { recursive: true, force: true });
    const { misses } = await engine.build({
      ...build,
      outputs: [{ type: "local", dest }],
      ...(onProgress && { onProgress }),
    });
    return { misses, files: ["made/seed", "mounted"].map((file) => world.read("made", file)) };
  };
  const warnings: string[] = [];
  const first = await made((event) => {
    if (event.type === "vertex-started" && event.vertex.name.includes("RUN echo slow"))
      fs.writeFileSync(seed, "another\n");
    if (event.type === "warning") warnings.push(event.warning.message);
  });
  expect(first.files).toEqual(["another\n", "another\n"]);
  expect(warnings).toEqual([expect.stringContaining("looks at its context once more")]);
  fs.writeFileSync(seed, "racing\n");
  expect((await made()).files).toEqual(["racing\n", "racing\n"]);
});

test("what somebody else has built first is known as it came here, though nothing ran", async () => {
  const text =
    "FROM base AS made\nCOPY seed /seed\nRUN cat /seed\nRUN --mount=source=other,target=/other cat /other | wc -c > /size\n";
  const mine = request("mine", `${text}FROM base\nCOPY --from=made /size /\nRUN true\n`);
  await engine.build(mine);
  const theirs = world.files({ seed: "theirs\n", other: "other\n" }, "theirs");
  await engine.build({ ...mine, context: theirs });
  fs.writeFileSync(world.path("mine", "seed"), "theirs\n");
  expect(ranIn(await engine.build(mine))).toEqual([]);
  fs.writeFileSync(world.path("mine", "other"), "edited\n");
  const { misses } = await engine.build(mine);
  const causes = misses.flatMap((miss) => miss.causes.map(({ cause }) => cause));
  expect(causes.length).toBeGreaterThan(0);
  for (const cause of causes) expect(cause).toMatchObject({ kind: "file", path: "other" });
});
