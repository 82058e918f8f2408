import fs from "node:fs";
import { createServer } from "node:net";
import { beforeEach, expect, test } from "vitest";
import { eventually, imageOf, needs, run, startProgram, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

interface Served extends AsyncDisposable {
  readonly host: string;
}

/** An empty docker-registry on a free loopback port. */
async function serve(): Promise<Served> {
  const host = `127.0.0.1:${await freePort()}`;
  const storage = `storage: {filesystem: {rootdirectory: ${world.path("registry")}}}`;
  fs.writeFileSync(world.path("registry.yml"), `version: 0.1\n${storage}\nhttp: {addr: "${host}"}\n`);
  const registry = startProgram(["docker-registry", "serve", world.path("registry.yml")]);
  await eventually(() => registry.said().includes("listening on"), 20_000);
  return {
    host,
    async [Symbol.asyncDispose]() {
      registry.child.kill("SIGTERM");
      await registry.ended;
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function raw(reference: string): Promise<ReturnType<typeof JSON.parse>> {
  const { stdout } = await run(["skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${reference}`]);
  return JSON.parse(stdout);
}

test("an image is pushed under all its names with what is said of it, and runs from there", async (context) => {
  needs(context, "docker-registry", "skopeo");
  await using registry = await serve();
  const name = `${registry.host}/team/app`;
  const directory = world.files({
    Dockerfile: "FROM base\nARG TOKEN\nRUN echo made > /made\n",
    "package-lock.json": "{}",
  });
  const flags = ["--push", "-t", `${name}:1`, "-t", `${name}:2`, "--provenance=mode=min", "--sbom=true"];
  const arguments_ = ["--build-arg", "TOKEN=hidden-value", "--annotation", "index:k=v"];
  const built = await world.build([...flags, ...arguments_, "--metadata-file", world.path("meta.json"), directory]);
  expect(built).toMatchObject({ code: 0 });
  expect(built.stderr).toContain(`pushed ${name}:2@sha256:`);
  const index = await raw(`${name}:1`);
  expect(index.annotations).toEqual({ k: "v" });
  expect(index.manifests.map((each: { platform: { os: string } }) => each.platform.os)).toEqual(["linux", "unknown"]);
  const about = await raw(`${name}@${index.manifests[1].digest}`);
  expect(about.layers.map((each: { annotations: object }) => Object.values(each.annotations)[0])).toEqual([
    "https://slsa.dev/provenance/v1",
    "https://spdx.dev/Document",
  ]);
  const layout = world.path("layout");
  const source = `docker://${name}:2`;
  const copied = await run([
    "skopeo",
    "--insecure-policy",
    "copy",
    "-q",
    "--all",
    "--src-tls-verify=false",
    source,
    `oci:${layout}:x`,
  ]);
  expect(copied).toMatchObject({ code: 0 });
  const texts = fs
    .readdirSync(`${layout}/blobs/sha256`)
    .map((file) => fs.readFileSync(`${layout}/blobs/sha256/${file}`));
  const statements = texts.filter((text) => text.includes("in-toto.io/Statement"));
  expect(statements).toHaveLength(2);
  expect(statements.some((text) => text.includes("hidden-value"))).toBe(false);
  const metadata = JSON.parse(world.read("meta.json"));
  expect(metadata["image.name"]).toBe(`${name}:1,${name}:2`);
  const from = world.files({ Dockerfile: `FROM ${name}:1\nRUN cat /made\n` }, "from");
  expect(await world.build(["--pull", from])).toMatchObject({ code: 0 });
});

test("an image is pushed by its digest alone, packed as it is asked for", async (context) => {
  needs(context, "docker-registry", "skopeo", "zstd");
  await using registry = await serve();
  const name = `${registry.host}/app`;
  const directory = world.files({ Dockerfile: "FROM base\nRUN echo made > /made\n" });
  const output = `type=registry,name=${name},push-by-digest=true,compression=zstd,force-compression=true,store=false`;
  const built = await world.build(["-o", output, "--metadata-file", world.path("meta.json"), directory]);
  expect(built).toMatchObject({ code: 0 });
  const manifest = await raw(`${name}@${JSON.parse(world.read("meta.json"))["containerimage.digest"]}`);
  const types = manifest.layers.map(({ mediaType }: { mediaType: string }) => mediaType);
  expect(new Set(types)).toEqual(new Set(["application/vnd.oci.image.layer.v1.tar+zstd"]));
  const tags = await run(["skopeo", "list-tags", "--tls-verify=false", `docker://${name}`]);
  expect(tags.stdout).not.toContain("latest");
  expect((await world.ashlar(["images"])).stdout).not.toContain(name);
  const tagged = await world.build(["-o", `type=registry,name=${name}:1,push-by-digest=true`, directory]);
  expect(tagged.stderr).toContain(`can't push tagged ref ${name}:1 by digest`);
});

test("the same files at the same time are the same image, whatever was built before", async () => {
  const directory = world.files({
    Dockerfile: "FROM base\nCOPY f /f\nRUN date > /now && echo made > /made && rm /now\n",
    f: "f",
  });
  const env = { SOURCE_DATE_EPOCH: "1700000000" };
  const digests: string[] = [];
  for (const name of ["one", "two"]) {
    const archive = world.path(`${name}.tar`);
    const built = await world.build(
      ["--no-cache", "-o", `type=oci,dest=${archive},rewrite-timestamp=true`, directory],
      { env },
    );
    expect(built).toMatchObject({ code: 0 });
    fs.mkdirSync(world.path(name));
    await run(["tar", "-xf", archive, "-C", world.path(name)]);
    digests.push(imageOf(world.path(name)).digest);
    fs.utimesSync(`${directory}/f`, new Date(), new Date());
  }
  expect(digests[0]).toBe(digests[1]);
});

test("layers of a build become one, without what was removed on the way", async () => {
  const steps = "RUN echo big > /big && echo a > /a\nRUN rm /big && echo b > /b\nENV X=1\n";
  const directory = world.files({ Dockerfile: `FROM base\n${steps}` });
  const archive = world.path("image.tar");
  expect(await world.build(["-o", `type=oci,dest=${archive},squash=own`, directory])).toMatchObject({ code: 0 });
  fs.mkdirSync(world.path("layout"));
  await run(["tar", "-xf", archive, "-C", world.path("layout")]);
  const { manifest, config } = imageOf(world.path("layout"));
  const { history } = config as unknown as { readonly history: readonly { readonly empty_layer?: boolean }[] };
  expect(manifest.layers).toHaveLength(2);
  expect(history.filter(({ empty_layer }) => !empty_layer)).toHaveLength(2);
  const last = (manifest.layers[1]?.digest ?? "").replace(":", "/");
  const listed = await run(["tar", "-tzf", world.path("layout", "blobs", last)]);
  expect(listed.stdout.trim().split("\n").sort()).toEqual(["a", "b"]);
});

test("exporting an image changes nothing for what was built on it", async () => {
  const base = world.files({ Dockerfile: "FROM base\nRUN echo made > /made\n" });
  const child = world.files({ Dockerfile: "FROM mine\nRUN cat /made > /child\n" }, "child");
  await world.build(["-t", "mine", base]);
  expect(await world.build(["-t", "child", child])).toMatchObject({ code: 0 });
  await world.build(["-t", "mine", "-o", `type=oci,dest=${world.path("mine.tar")}`, base]);
  expect((await world.build(["-t", "child", child])).stderr).toMatch(/RUN cat \/made > \/child\n#\d+ CACHED/);
  await world.build(["-t", "mine", "-o", "type=image,compression=gzip", base]);
  expect((await world.build(["-t", "child", child])).stderr).toMatch(/RUN cat \/made > \/child\n#\d+ CACHED/);
});
