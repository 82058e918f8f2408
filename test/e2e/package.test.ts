import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { BASE_LAYOUT, REPOSITORY, run, World } from "./world.js";

const INSTALL_TIMEOUT_MS = 180_000;

const world = new World();
/** The consumer's directory; undefined with a reason where no package could be installed. */
let consumer: { readonly directory: string } | { readonly missing: string };
let packed: readonly string[] = [];

beforeAll(async () => {
  const tsc = path.join(REPOSITORY, "node_modules/.bin/tsc");
  expect(await run([tsc, "-p", "tsconfig.types.json"], { cwd: REPOSITORY })).toMatchObject({ code: 0 });
  // Without its scripts, which would build dist/ anew under the feet of other tests.
  const words = ["pack", "--ignore-scripts", "--json", "--pack-destination", world.dir];
  const pack = await run(["npm", ...words], { cwd: REPOSITORY });
  expect(pack).toMatchObject({ code: 0 });
  const [archive] = JSON.parse(pack.stdout);
  packed = archive.files.map((file: { readonly path: string }) => file.path);
  const directory = world.files({ "package.json": '{"name":"consumer","private":true}' }, "consumer");
  const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", world.path(archive.filename)];
  const installed = await run(["npm", ...install], { cwd: directory, timeoutMs: INSTALL_TIMEOUT_MS });
  const offline = /E(?:NOTFOUND|AI_AGAIN|CONNREFUSED|TIMEDOUT|NOTCACHED|CONNRESET)/.exec(installed.stderr)?.[0];
  if (offline === undefined) expect(installed).toMatchObject({ code: 0 });
  consumer = offline === undefined ? { directory } : { missing: `the npm registry can't be reached: ${offline}` };
}, 2 * INSTALL_TIMEOUT_MS);

afterAll(() => world[Symbol.asyncDispose]());

function consumerOf(context: TestContext): string {
  if ("missing" in consumer) context.skip(consumer.missing);
  return "directory" in consumer ? consumer.directory : "";
}

test("the package holds what its users need, and nothing else", () => {
  const needed = ["package.json", "README.md", "LICENSE", "NOTICE", "bin/ashlar"];
  const bundles = [
    "dist/cli.cjs",
    "dist/index.cjs",
    "dist/index.mjs",
    "dist/worker.cjs",
    "dist/types/engine/index.d.ts",
  ];
  expect(packed).toEqual(expect.arrayContaining([...needed, ...bundles]));
  const others = packed.filter(
    (name) => !needed.includes(name) && !/^(?:docs|dist\/types)\/|^bin\/[a-z.]+$|^dist\/\w+\.[cm]js$/.test(name),
  );
  expect(others).toEqual([]);
});

test("the installed command runs", async (context) => {
  const ashlar = path.join(consumerOf(context), "node_modules/.bin/ashlar");
  expect((await run([ashlar, "version"])).stdout).toMatch(/^ashlar \d+\.\d+\.\d+ /);
});

/** What a program does with the library; it prints what it saw of its own process before, during and after. */
const PROGRAM = `
const hash = (text) => createHash("sha256").update(text).digest("hex");
const look = () => JSON.stringify({
  mounts: fs.readlinkSync("/proc/self/ns/mnt"),
  namespaces: fs.readdirSync("/proc/self/ns").map((name) => fs.readlinkSync("/proc/self/ns/" + name)),
  cwd: process.cwd(),
  umask: /^Umask:.*$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[0],
  listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]).sort(),
  env: hash(JSON.stringify(process.env)),
});
const [root, context, base] = process.argv.slice(2);
let before;
const during = new Set();
const events = [];
const onProgress = (event) => { events.push(event.type); during.add(look()); };
const request = { context, buildContexts: { base: "oci-layout://" + base + ":latest" }, tags: ["made"], onProgress };
const main = async () => {
  before = look();
  const engine = await createEngine({ root });
  const result = await engine.build(request);
  during.add(look());
  const images = await engine.images.list();
  await engine[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]();
  const again = await build(request, { root });
  const after = look();
  const failure = await build({ ...request, target: "nothing" }, { root }).catch((error) => error);
  console.log(JSON.stringify({
    before, after, during: [...during], events: events.length,
    imageId: result.imageId, sameId: again.imageId === result.imageId,
    allCached: again.steps.every((step) => step.cached), names: images.map((image) => image.name),
    failure: { isEngineError: failure instanceof EngineError, code: failure.code, message: failure.message },
  }));
};
setImmediate(main); // Node itself listens for the exit while a module is evaluated
`;

for (const [kind, file, head] of [
  [
    "import",
    "program.mjs",
    'import { createHash } from "node:crypto";\nimport fs from "node:fs";\nimport { build, createEngine, EngineError } from "ashlar";\n',
  ],
  [
    "require",
    "program.cjs",
    'const { createHash } = require("node:crypto");\nconst fs = require("node:fs");\nconst { build, createEngine, EngineError } = require("ashlar");\n',
  ],
] as const) {
  test(`a program builds with the library by ${kind}, and its process stays as it was`, async (context) => {
    const directory = consumerOf(context);
    fs.writeFileSync(path.join(directory, file), head + PROGRAM);
    const built = world.files({ Dockerfile: "FROM base\nCOPY file /\nRUN umask > /umask\n", file: "x" }, "built");
    const words = [process.execPath, file, world.path(`root-${kind}`), built, BASE_LAYOUT];
    const ended = await run(words, { cwd: directory });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const seen = JSON.parse(ended.stdout);
    expect(seen.events).toBeGreaterThan(0);
    expect(seen.during).toEqual([seen.before]);
    expect(seen.after).toBe(seen.before);
    expect(seen).toMatchObject({ sameId: true, allCached: true, names: ["docker.io/library/made:latest"] });
    expect(seen.imageId).toMatch(/^sha256:/);
    expect(seen.failure).toMatchObject({ isEngineError: true, message: expect.stringContaining("nothing") });
  });
}

test("the types stand on their own", async (context) => {
  const directory = consumerOf(context);
  const program = `import { type BuildRequest, build, createEngine, EngineError, type ProgressEvent } from "ashlar";
const request: BuildRequest = { context: ".", tags: ["a"], outputs: [{ type: "oci", dest: "a.tar" }] };
async function main(): Promise<string | undefined> {
  await using engine = await createEngine({ root: "/tmp/state", isolation: "oci" });
  const { imageId } = await engine.build({ ...request, onProgress: (event: ProgressEvent) => console.log(event.type) });
  // @ts-expect-error: a context is needed
  build({});
  return imageId;
}
main().catch((error: unknown) => { if (error instanceof EngineError) console.error(error.code, error.hint); });
`;
  fs.writeFileSync(path.join(directory, "types.mts"), program);
  const types = path.join(directory, "node_modules/@types");
  fs.mkdirSync(types, { recursive: true });
  for (const name of ["node"]) {
    const link = path.join(types, name);
    if (!fs.existsSync(link)) fs.symlinkSync(path.join(REPOSITORY, "node_modules/@types", name), link);
  }
  const compilerOptions = {
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    module: "nodenext",
    strict: true,
    noEmit: true,
    types: ["node"],
  };
  fs.writeFileSync(path.join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["types.mts"] }));
  const checked = await run([path.join(REPOSITORY, "node_modules/.bin/tsc"), "-p", "."], { cwd: directory });
  expect(checked).toMatchObject({ code: 0, stdout: "" });
});
