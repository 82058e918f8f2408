import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { startRegistry, type TestRegistry } from "../registry/docker-registry.js";
import { GHA_TOKEN, startGha } from "../remote-cache/gha-server.js";
import { S3_KEY, S3_SECRET, startS3 } from "../remote-cache/s3-server.js";
import { createNetworkWorld } from "./network-world.js";
import { type Ended, imageOf, needs, type RunOptions, World } from "./world.js";

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

function project(edit: (text: string) => string = (text) => text, app = "app\n"): string {
  return world.files({ Dockerfile: edit(DOCKERFILE), "app.txt": app });
}

/** Builds on a machine of its own: a state directory that nobody else has. */
function on(machine: string, words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return world.build(words, { ...options, env: { ...options.env, ASHLAR_ROOT: world.path(machine) } });
}

/** What ran, and what was in a cache, by the steps' commands. */
function stepsOf({ stderr }: Ended): { readonly cached: readonly string[]; readonly ran: readonly string[] } {
  const names = new Map(
    [...stderr.matchAll(/^#(\d+) \[[^\]]*\d+\/\d+\] (.*)$/gm)].map(([, n = "", name = ""]) => [n, name]),
  );
  const ended = (how: string) =>
    [...stderr.matchAll(new RegExp(`^#(\\d+) ${how}`, "gm"))].flatMap(([, n = ""]) => names.get(n) ?? []).sort();
  return { cached: ended("CACHED"), ran: ended("DONE") };
}

const ALL = [
  "COPY --from=build /src/out /out",
  "COPY app.txt .",
  "RUN cat app.txt deps > out",
  "RUN echo deps > deps",
  "RUN echo first > /first",
  "RUN echo last > /last",
  "WORKDIR /src",
];

/** The requests that the registry had since the last call. */
function requestsOf(registry: TestRegistry): () => readonly string[] {
  let seen = 0;
  return () => {
    const lines = registry.log.slice(seen);
    seen = registry.log.length;
    return lines.flatMap((line) => /"((?:GET|HEAD|PUT|POST|PATCH) [^ ]*)/.exec(line)?.[1] ?? []);
  };
}

const isBlob = (request: string) => /^GET .*\/blobs\//.test(request);

test("another machine has every step cached, asks for three documents, and pulls what a changed step needs", async (context) => {
  needs(context, "docker-registry");
  await using registry = await startRegistry("plain");
  const requests = requestsOf(registry);
  const cache = `${registry.name}/team/app:cache`;
  const made = await on("one", [
    "--cache-to",
    `type=registry,ref=${cache},mode=max`,
    "-t",
    "app",
    "--iidfile",
    world.path("id1"),
    project(),
  ]);
  expect(made).toMatchObject({ code: 0 });
  expect(made.stderr).toContain("exporting cache to registry");
  expect(stepsOf(made).ran).toEqual(ALL);
  requests();

  const again = await on("two", ["--cache-from", cache, "-t", "app", "--iidfile", world.path("id2"), project()]);
  expect(again).toMatchObject({ code: 0 });
  expect(again.stderr).toContain(`importing cache manifest from ${cache}`);
  expect(stepsOf(again)).toEqual({ cached: ALL, ran: [] });
  expect(requests()).toHaveLength(3); // the name, its manifest, the config
  expect(world.read("id2")).toBe(world.read("id1"));

  const edited = project((text) => text.replace("echo last", "echo other"));
  const changed = await on("three", ["--cache-from", cache, "-o", world.path("out"), edited]);
  expect(stepsOf(changed).ran).toEqual(["RUN echo other > /last"]);
  expect(world.read("out", "out")).toBe("app\ndeps\n");
  // The config of the cache and the three layers below the step; the base is here, those of the build stage nobody needs.
  expect(requests().filter(isBlob).length).toBeLessThanOrEqual(1 + 3);
});

test("a machine behind a network of its own has every step cached, and fetches the layers that a changed step stands on", async (context) => {
  needs(context, "docker-registry", "ip", "nft");
  using network = createNetworkWorld();
  const { outside, machine, outsideAddress: address } = network;
  await using registry = await startRegistry("plain", { address, under: outside });
  const requests = requestsOf(registry);
  const blobs = () => requests().flatMap((each) => /^GET .*\/blobs\/(sha256:[0-9a-f]{64})$/.exec(each)?.[1] ?? []);
  world.files({ "registries.toml": `[registry."${registry.name}"]\nhttp = true\n` }, ".");
  const env = { ASHLAR_REGISTRIES: world.path("registries.toml") };
  const image = `${registry.name}/team/base:1`;
  const base = ["--push", "-t", image, world.files({ Dockerfile: "FROM base\n" }, "base")];
  expect(await on("one", base, { env, under: outside })).toMatchObject({ code: 0 });
  const cache = `${registry.name}/team/app:cache`;
  const directory = project((text) => text.replaceAll("FROM base", `FROM ${image}`));
  const exported = [
    "--network=none",
    "--cache-to",
    `type=registry,ref=${cache},mode=max`,
    "-o",
    `type=oci,tar=false,dest=${world.path("layout")}`,
  ];
  expect(await on("one", [...exported, directory], { env, under: outside })).toMatchObject({ code: 0 });
  const { manifest } = imageOf(world.path("layout"));
  blobs();

  const words = ["--network=none", "--cache-from", cache, directory];
  const again = await on("two", ["--metadata-file", world.path("metadata"), ...words], { env, under: machine });
  const stepsAfterBase = (ended: Ended) => {
    const { cached, ran } = stepsOf(ended);
    const isStep = (name: string) => !name.startsWith("FROM ");
    return { cached: cached.filter(isStep), ran: ran.filter(isStep) };
  };
  expect(stepsAfterBase(again)).toEqual({ cached: ALL, ran: [] });
  expect(JSON.parse(world.read("metadata"))["containerimage.config.digest"]).toBe(manifest.config.digest);
  const [configs, layers] = [blobs(), manifest.layers.map((layer) => layer.digest)];
  expect(configs).toHaveLength(2); // of the base, and of the cache
  expect(configs.filter((blob) => layers.includes(blob))).toEqual([]);

  fs.appendFileSync(path.join(directory, "Dockerfile"), "RUN cat /out > /copy\n");
  const changed = await on("two", ["-o", world.path("out"), ...words], { env, under: machine });
  expect(stepsAfterBase(changed)).toEqual({ cached: ALL, ran: ["RUN cat /out > /copy"] });
  expect(world.read("out", "copy")).toBe("app\ndeps\n");
  // Each of the four once, and what the cache knows of the new step.
  expect(
    blobs()
      .filter((blob) => !configs.includes(blob))
      .sort(),
  ).toEqual([...layers].sort());
});

test("two that write one directory and one name of a registry at once leave a cache that is either's", async (context) => {
  needs(context, "docker-registry");
  await using registry = await startRegistry("plain");
  const places = [`ref=${registry.name}/team/app:cache`, "latest"].map((place) => {
    const isLocal = place === "latest";
    return {
      to: isLocal ? `type=local,dest=${world.path("cache")},mode=max` : `type=registry,${place},mode=max`,
      from: isLocal ? `type=local,src=${world.path("cache")}` : `type=registry,${place}`,
    };
  });
  const writers = ["first", "second"].map((app) => ({
    app,
    directory: world.files({ Dockerfile: DOCKERFILE, "app.txt": `${app}\n` }, app),
  }));
  const to = places.flatMap((place) => ["--cache-to", place.to]);
  const written = await Promise.all(writers.map(({ app, directory }) => on(app, [...to, directory])));
  for (const ended of written) expect(ended).toMatchObject({ code: 0 });
  for (const [number, { from }] of places.entries()) {
    const read = writers.map(async ({ app, directory }) => {
      const out = `${app}-${number}`;
      const ended = await on(`machine-${out}`, ["--cache-from", from, "-o", world.path(out), directory]);
      expect(ended).toMatchObject({ code: 0 });
      expect(ended.stderr).not.toContain("WARNING");
      expect(world.read(out, "out")).toBe(`${app}\ndeps\n`);
      return stepsOf(ended).ran.length;
    });
    expect(await Promise.all(read)).toContain(0);
  }
});

test("what is found in another cache is found again without it", async (context) => {
  needs(context, "docker-registry");
  const directory = project();
  {
    await using registry = await startRegistry("plain");
    const cache = `${registry.name}/team/app:cache`;
    expect(await on("one", ["--cache-to", `type=registry,ref=${cache},mode=max`, directory])).toMatchObject({
      code: 0,
    });
    expect(stepsOf(await on("two", ["--cache-from", cache, directory])).ran).toEqual([]);
  }
  expect(stepsOf(await on("two", [directory])).ran).toEqual([]);
  // The layers are gone with the registry: what needs them makes them again.
  const written = await on("two", ["-o", world.path("out"), directory]);
  expect(written).toMatchObject({ code: 0 });
  expect(written.stderr).toContain("a cached step is made again: ");
  expect(world.read("out", "out")).toBe("app\ndeps\n");
});

test("a cache that has not changed is not sent again, wherever it is exported from, but for what was lost of it", async (context) => {
  needs(context, "docker-registry");
  await using registry = await startRegistry("plain");
  const requests = requestsOf(registry);
  const cache = `type=registry,ref=${registry.name}/team/app:cache,mode=max`;
  const directory = project();
  expect(await on("one", ["--cache-to", cache, directory])).toMatchObject({ code: 0 });
  requests();
  expect(await on("one", ["--cache-to", cache, directory])).toMatchObject({ code: 0 });
  const asked = requests();
  expect(asked.filter((each) => !each.startsWith("HEAD "))).toEqual([]);
  expect(asked).toContain("HEAD /v2/team/app/manifests/cache");
  expect(await on("two", ["--cache-from", cache, "--cache-to", cache, directory])).toMatchObject({ code: 0 });
  const isSent = (each: string) => /^(?:PUT|POST|PATCH)/.test(each);
  expect(requests().filter(isSent)).toEqual([]);

  const [lost = ""] = asked.filter((each) => each.includes("/blobs/")).map((each) => each.slice("HEAD ".length));
  expect(await fetch(`http://${registry.name}${lost}`, { method: "DELETE" })).toMatchObject({ status: 202 });
  expect(await on("one", ["--cache-to", cache, directory])).toMatchObject({ code: 0 });
  expect(requests().filter(isSent).length).toBeGreaterThan(0);
  expect(await fetch(`http://${registry.name}${lost}`, { method: "HEAD" })).toMatchObject({ status: 200 });
});

test("mode=min has the layers of the image alone, yet another machine need not run what it was copied from", async () => {
  const cache = `type=local,dest=${world.path("cache")}`;
  const directory = project();
  expect(await on("one", ["--cache-to", cache, directory])).toMatchObject({ code: 0 });
  const min = imageOf(world.path("cache")).manifest.layers.length;
  expect(await on("one", ["--cache-to", `${cache},mode=max,tag=max`, directory])).toMatchObject({ code: 0 });
  const from = ["--cache-from", `type=local,src=${world.path("cache")}`];
  expect(min).toBe(4); // the base and three steps
  expect(stepsOf(await on("two", [...from, directory]))).toEqual({ cached: ALL, ran: [] });
  const changed = await on("three", [...from, "-o", world.path("out"), project(undefined, "new\n")]);
  expect(world.read("out", "out")).toBe("new\ndeps\n");
  expect(stepsOf(changed).ran).toContain("RUN cat app.txt deps > out");
  expect(stepsOf(changed).cached).toEqual(["RUN echo first > /first"]);
});

test("a cache in a directory is one of several in an image layout", async () => {
  const place = world.path("cache");
  const directory = project();
  for (const tag of ["a", "b"])
    expect(await on("one", ["--cache-to", `type=local,dest=${place},tag=${tag},mode=max`, directory])).toMatchObject({
      code: 0,
    });
  expect(JSON.parse(fs.readFileSync(`${place}/index.json`, "utf8")).manifests).toHaveLength(2);
  const other = await on("two", ["--cache-from", `type=local,src=${place},tag=b`, "-o", world.path("out"), directory], {
    under: ["unshare", "-n"],
  });
  expect(stepsOf(other)).toEqual({ cached: ALL, ran: [] });
  expect(world.read("out", "last")).toBe("last\n");
});

test("an image carries its own cache, for every platform", async (context) => {
  needs(context, "docker-registry");
  await using registry = await startRegistry("plain");
  const name = `${registry.name}/team/app:1`;
  const directory = world.files({
    Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY a-$TARGETARCH /a\nCOPY b /b\n",
    "a-amd64": "amd",
    "a-arm64": "arm",
    b: "b",
  });
  const platforms = ["--platform", "linux/amd64,linux/arm64"];
  const made = await on("one", ["--cache-to", "type=inline", ...platforms, "--push", "-t", name, directory]);
  expect(made).toMatchObject({ code: 0 });
  const again = await on("two", ["--cache-from", name, ...platforms, "-o", world.path("out"), directory]);
  expect(stepsOf(again).ran).toEqual([]);
  expect(again.stderr.match(/^#\d+ CACHED/gm)).toHaveLength(4);
  expect(world.read("out", "linux_arm64", "a")).toBe("arm");
});

test("a cache that can't be read is told and does without; one that can't be written fails the build unless it may", async () => {
  const directory = project();
  const unread = await on("one", ["--cache-from", "127.0.0.1:1/nothing:here", directory]);
  expect(unread).toMatchObject({ code: 0 });
  expect(unread.stderr).toContain("failed to import the cache 127.0.0.1:1/nothing:here");
  const to = "type=registry,ref=127.0.0.1:1/nothing:here";
  const failed = await on("one", ["--cache-to", to, directory]);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain("ERROR: ");
  expect(await on("one", ["--cache-to", `${to},ignore-error=true`, directory])).toMatchObject({ code: 0 });
});

/** Changes the config of the cache in a directory, as whoever may write there can. */
function tamper(place: string, change: (config: { layers: { diffId: string }[] }) => void): void {
  const file = (digest: string) => path.join(place, "blobs", ...digest.split(":"));
  const read = (digest: string) => JSON.parse(fs.readFileSync(file(digest), "utf8"));
  const write = (value: unknown) => {
    const bytes = Buffer.from(JSON.stringify(value));
    fs.writeFileSync(file(digestOf(bytes)), bytes);
    return { digest: digestOf(bytes), size: bytes.length };
  };
  const index = JSON.parse(fs.readFileSync(path.join(place, "index.json"), "utf8"));
  const manifest = read(index.manifests[0].digest);
  const config = read(manifest.config.digest);
  change(config);
  Object.assign(manifest.config, write(config));
  Object.assign(index.manifests[0], write(manifest));
  fs.writeFileSync(path.join(place, "index.json"), JSON.stringify(index));
}

test("what a cache says of its layers and isn't so is found out, and the steps are made again", async () => {
  const place = world.path("cache");
  const directory = project();
  const to = ["--cache-to", `type=local,dest=${place},mode=max`];
  expect(await on("one", [...to, directory])).toMatchObject({ code: 0 });
  tamper(place, ({ layers }) => {
    for (const layer of layers) layer.diffId = digestOf(layer.diffId);
  });
  const lied = await on("two", ["--cache-from", `type=local,src=${place}`, "-o", world.path("out"), directory]);
  expect(lied).toMatchObject({ code: 0 });
  expect(lied.stderr).toContain("a cached step is made again: ");
  expect(world.read("out", "out")).toBe("app\ndeps\n");
});

/** What a cache in a directory has of the layers, by the names of the steps that made them, and the file of each. */
function blobsOf(place: string): Readonly<Record<string, string>> {
  const file = (digest: string) => path.join(place, "blobs", ...digest.split(":"));
  const read = (digest: string) => JSON.parse(fs.readFileSync(file(digest), "utf8"));
  const index = JSON.parse(fs.readFileSync(path.join(place, "index.json"), "utf8"));
  const { layers, chains, records } = read(read(index.manifests[0].digest).config.digest);
  const top = (chain: number) => file(layers[chains[chain][1]].descriptor.digest);
  const steps = records.map(({ name, results }: { name: string; results: number[] }) => {
    const [, step = name] = /\] (.*)$/.exec(name) ?? [];
    return [step, top(results[0] ?? 0)];
  });
  return { base: top(0), ...Object.fromEntries(steps) };
}

test("where a cache has lost a layer only what needs it is made again, and a base's layer is had from the base", async () => {
  const place = world.path("cache");
  const to = ["--cache-to", `type=local,dest=${place},mode=max`];
  expect(await on("one", [...to, project()])).toMatchObject({ code: 0 });
  const blobs = blobsOf(place);
  const edited = project((text) => text.replace("echo last", "echo other"));
  const other = "RUN echo other > /last";
  for (const [machine, lost, ran] of [
    ["two", "base", [other]],
    ["three", "RUN echo first > /first", ["COPY --from=build /src/out /out", "RUN echo first > /first", other]],
  ] as const) {
    fs.renameSync(blobs[lost] ?? "", world.path("lost"));
    const out = world.path(`out-${machine}`);
    const built = await on(machine, ["--cache-from", `type=local,src=${place}`, "-o", out, edited]);
    fs.renameSync(world.path("lost"), blobs[lost] ?? "");
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(stepsOf(built).ran).toEqual([...ran].sort());
    expect(built.stderr).not.toMatch(/ERROR|it failed in the last build/);
    expect(built.stderr.includes("a cached step is made again: ")).toBe(lost !== "base");
    expect(fs.readFileSync(path.join(out, "out"), "utf8")).toBe("app\ndeps\n");
    const check = await world.ashlar(["prune", "--check"], { env: { ASHLAR_ROOT: world.path(machine) } });
    expect(check, check.stdout + check.stderr).toMatchObject({ code: 0 });
  }
});

test("an image of layers that only a cache had is run in vain without it, and builds go on all the same", async (context) => {
  needs(context, "docker-registry");
  const name = "registry.invalid/team/app";
  let cache = "";
  {
    await using registry = await startRegistry("plain");
    cache = `${registry.name}/team/app:cache`;
    const to = ["--cache-to", `type=registry,ref=${cache},mode=max`];
    expect(await on("one", [...to, project()])).toMatchObject({ code: 0 });
    expect(stepsOf(await on("two", ["--cache-from", cache, "-t", name, project()])).ran).toEqual([]);
  }
  const run = await world.ashlar(["run", name, "cat", "/out"], { env: { ASHLAR_ROOT: world.path("two") } });
  expect(run).toMatchObject({ code: 125 });
  expect(run.stderr).toContain(cache);
  expect(run.stderr).not.toContain("registry.invalid/team/app:latest@");
  const edited = project((text) => text.replace("echo last", "echo other"));
  const built = await on("two", ["-o", world.path("out"), edited]);
  expect(built, built.stderr).toMatchObject({ code: 0 });
  expect(built.stderr).toContain("a cached step is made again: ");
  expect(world.read("out", "out")).toBe("app\ndeps\n");
});

test("a cache in S3, and one in the service of GitHub Actions, are found by another machine", async () => {
  await using s3 = await startS3();
  await using gha = await startGha();
  const directory = project();
  const places = {
    s3: `type=s3,bucket=bucket,region=eu,endpoint_url=${s3.endpoint},use_path_style=true`,
    gha: "type=gha",
  };
  const env = {
    AWS_ACCESS_KEY_ID: S3_KEY,
    AWS_SECRET_ACCESS_KEY: S3_SECRET,
    ACTIONS_RESULTS_URL: gha.url,
    ACTIONS_RUNTIME_TOKEN: GHA_TOKEN,
  };
  const to = Object.values(places).flatMap((place) => ["--cache-to", `${place},mode=max`]);
  const made = await on("one", [...to, directory], { env });
  expect(made).toMatchObject({ code: 0 });
  for (const [name, place] of Object.entries(places)) {
    const out = world.path(`out-${name}`);
    const again = await on(name, ["--cache-from", place, "-o", out, directory], { env });
    expect(stepsOf(again)).toEqual({ cached: ALL, ran: [] });
    expect(fs.readFileSync(`${out}/out`, "utf8")).toBe("app\ndeps\n");
    expect(again.stdout + again.stderr).not.toMatch(new RegExp(`${GHA_TOKEN}|sig=`));
  }
  // What an image is made of is kept here, since the places can only be read with what builds are lent.
  expect(await on("three", ["--cache-from", places.s3, "-t", "app", directory], { env })).toMatchObject({ code: 0 });
  const run = await world.ashlar(["run", "app", "cat", "/out"], { env: { ASHLAR_ROOT: world.path("three") } });
  expect(run).toMatchObject({ code: 0, stdout: "app\ndeps\n" });
});

test("cache mounts go along where they are asked for, to machines that have none of that id, however they mount it", async () => {
  const run = (n: number, how = "") =>
    `RUN --mount=type=cache,id=deps,target=/deps${how} echo ${n} >> /deps/log && cat /deps/log > /log\n`;
  const place = world.path("cache");
  const made = await on("one", [
    "--cache-to",
    `type=local,dest=${place},mounts=deps;none`,
    world.files({ Dockerfile: `FROM base\n${run(1)}` }),
  ]);
  expect(made).toMatchObject({ code: 0 });
  expect(made.stderr).toContain('a cache mount does not go along: no cache mount is called "none"');
  for (const [machine, how] of Object.entries({ two: "", three: ",uid=1000,mode=0700" })) {
    const directory = world.files({ Dockerfile: `FROM base\n${run(2, how)}` });
    const again = await on(machine, ["--cache-from", `type=local,src=${place}`, "-o", world.path("out"), directory]);
    expect(again, again.stderr).toMatchObject({ code: 0 });
    expect(world.read("out", "log")).toBe("1\n2\n");
  }
});
