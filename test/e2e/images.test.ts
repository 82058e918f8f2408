import fs from "node:fs";
import { gzipSync } from "node:zlib";
import { beforeEach, expect, test } from "vitest";
import { startRegistry } from "../registry/docker-registry.js";
import { startDocker } from "./docker.js";
import { buildAs, needsUser, startAs } from "./user.js";
import { needs, needsPeer, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const DOCKERFILE = 'FROM base\nRUN echo made > /made\nLABEL who=me\nCMD ["cat", "/made"]\n';

/** Builds an image under NAMES; its id. */
async function built(names: readonly string[], dockerfile = DOCKERFILE): Promise<string> {
  const context = world.files({ Dockerfile: dockerfile });
  const ended = await world.build([...names.flatMap((name) => ["-t", name]), "-q", context]);
  expect(ended).toMatchObject({ code: 0 });
  return ended.stdout.trim();
}

/** What `ashlar WORDS` writes to standard output; it must succeed. */
async function said(words: readonly string[], options: Parameters<World["ashlar"]>[1] = {}): Promise<string> {
  const ended = await world.ashlar(words, options);
  if (ended.code !== 0) throw new Error(`ashlar ${words.join(" ")}: ${ended.stderr}`);
  return ended.stdout;
}

/** The media types of the layers of an image in a registry. */
async function layersOf(name: string): Promise<readonly string[]> {
  const { stdout } = await run(["skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${name}`]);
  return JSON.parse(stdout).layers.map(({ mediaType }: { mediaType: string }) => mediaType);
}

const isPacked = (mediaType: string): boolean => /gzip$/.test(mediaType);

const LIST = ["images", "--format", "{{.Repository}}:{{.Tag}}"];

test("an image that lost its name stays until it is pruned, and has an id by which it can be run and removed", async () => {
  const first = await built(["app"]);
  const second = await built(["app"], DOCKERFILE.replace("echo made", "echo again"));
  expect((await said(LIST)).trim().split("\n").sort()).toEqual(["<none>:<none>", "app:latest"]);
  expect(await said(["prune", "-f"])).toContain("Total reclaimed space:");
  expect(await said(LIST)).toBe("app:latest\n");
  await said(["tag", second.slice("sha256:".length, 20), "other:1"]);
  expect(await said(["rmi", "app"])).toBe("Untagged: app:latest\n");
  await built(["other:1"]);
  expect(await said(["images", "-q", "--no-trunc", "-f", "dangling=true"])).toBe(`${second}\n`);
  expect(await said(["run", second])).toBe("again\n");
  expect(await said(["image", "prune", "-f"])).toContain(`Deleted Images:\ndeleted: ${second}\n`);
  expect(await said(["rmi", first])).toBe(`Untagged: other:1\nDeleted: ${first}\n`);
  expect(await world.ashlar(["rmi", first])).toMatchObject({ code: 1, stderr: `ERROR: No such image: ${first}\n` });
});

test("images saved are the same when they are loaded, from a pipe and compressed, and skopeo reads them", async (context) => {
  const id = await built(["app:1", "team/tool:2"]);
  const archive = world.path("saved.tar");
  await said(["save", "-o", archive, "app:1", "team/tool"]);
  expect((await world.ashlar(["images", "--format", "json", "app:1"])).stdout).toContain('"Tag":"1"');
  const other = { env: { ASHLAR_ROOT: world.path("other") } };
  const loaded = await said(["load"], { ...other, input: gzipSync(fs.readFileSync(archive)) });
  expect(loaded).toBe("Loaded image: app:1\nLoaded image: team/tool:2\n");
  expect(await said(["inspect", "-f", "{{.Id}} {{.Config.Labels.who}}", "app:1"], other)).toBe(`${id} me\n`);
  expect(await said(["run", "team/tool:2"], other)).toBe("made\n");
  const [old, fresh] = [await said(["images", "--digests", "app"]), await said(["images", "--digests", "app"], other)];
  expect(fresh.split(/\s+/).find((word) => word.startsWith("sha256:"))).toBe(
    old.split(/\s+/).find((word) => word.startsWith("sha256:")),
  );
  needs(context, "skopeo");
  const copied = ["skopeo", "--insecure-policy", "copy", `docker-archive:${archive}:app:1`];
  const foreign = world.path("foreign.tar");
  expect(await run([...copied, `docker-archive:${foreign}:foreign:3`])).toMatchObject({ code: 0 });
  expect(await run([...copied, `oci:${world.path("layout")}:foreign:4`])).toMatchObject({ code: 0 });
  expect(await said(["load", "-i", foreign], other)).toBe("Loaded image: foreign:3\n");
  expect(await said(["load", "-i", world.path("layout")], other)).toBe("Loaded image: foreign:4\n");
  expect(await said(["inspect", "-f", "{{.Id}}", "foreign:3"], other)).toBe(`${id}\n`);
  expect(await said(["run", "foreign:4"], other)).toBe("made\n");
});

test("what holds no image is refused in one sentence, whatever it names", async () => {
  const zeros = `sha256:${"0".repeat(64)}`;
  const entry = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: zeros, size: 10 };
  const archives = {
    "index.json": [JSON.stringify({ schemaVersion: 2, manifests: [entry] }), "not found in the image layout"],
    "manifest.json": ['[{"Config":"../../etc/passwd","RepoTags":["x:1"],"Layers":[]}]', "which is not in the archive"],
    other: ["", "it has neither an index.json nor a manifest.json"],
  } as const;
  for (const [name, [content, sentence]] of Object.entries(archives)) {
    const directory = world.files({ [name]: content }, `holding-${name}`);
    const archive = world.path(`${name}.tar`);
    await run(["tar", "-cf", archive, "-C", directory, "."]);
    const refused = await world.ashlar(["load", "-q", "-i", archive]);
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(sentence) });
    expect(refused.stderr).not.toContain(world.root);
  }
});

test("files become an image with the config that the changes say", async () => {
  const context = world.files({ Dockerfile: DOCKERFILE });
  const archive = world.path("files.tar");
  expect(await world.build(["-o", `type=tar,dest=${archive}`, context])).toMatchObject({ code: 0 });
  const changes = ["-c", 'CMD ["sh", "-c", "echo $A; cat /made"]', "-c", "ENV A=b"];
  const id = await said(["import", ...changes, "-m", "mine", "-", "fs:1"], { input: fs.readFileSync(archive) });
  expect(await said(["run", "fs:1"])).toBe("b\nmade\n");
  expect(await said(["history", "--format", "{{.ID}} {{.Comment}}", "--no-trunc", "fs:1"])).toBe(`${id.trim()} mine\n`);
  const refused = await world.ashlar(["import", "-c", "RUN true", archive]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("RUN is not a valid change command");
});

test("an image that a build stands on is not removed unless that is insisted on", async () => {
  await built(["app"]);
  const marker = world.path("marker");
  const context = world.files({ Dockerfile: "FROM app\nRUN echo begun; sleep 30\n" }, "next");
  const building = world.start(["build", "--progress=plain", context]);
  await building.says("begun");
  const refused = await world.ashlar(["rmi", "app"]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("(must force)") });
  expect(await said(["rmi", "-f", "app"])).toContain("Untagged: app:latest\nDeleted: sha256:");
  building.child.kill("SIGINT");
  expect((await building.ended).code).toBe(130);
  expect(fs.existsSync(marker)).toBe(false);
});

test("images go to a registry and come back, docker's archives packed", async (context) => {
  needs(context, "docker-registry", "skopeo");
  await using registry = await startRegistry("plain");
  const name = `${registry.name}/team/app`;
  await built([`${name}:1`, `${name}:2`]);
  const pushed = await said(["push", "-a", name]);
  const digest = /^1: digest: (sha256:[0-9a-f]{64}) size: \d+\n2: digest: \1 /.exec(pushed)?.[1];
  expect((await layersOf(`${name}:1`)).map(isPacked)).toEqual([true, true]);
  const other = { env: { ASHLAR_ROOT: world.path("other") } };
  const pulled = await said(["pull", `${name}:1`], other);
  expect(pulled).toBe(`Digest: ${digest}\nStatus: Downloaded newer image for ${name}:1\n${name}:1\n`);
  expect(await said(["pull", `${name}:1`], other)).toContain("Status: Image is up to date");
  expect(await said(["pull", "-a", name], other)).toContain(`1: digest: ${digest}\n`);
  expect(await said(["run", `${name}:1`], other)).toBe("made\n");
  const archive = world.path("plain.tar");
  const source = `docker://${name}:1`;
  await run(["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", source, `docker-archive:${archive}:x:1`]);
  const third = { env: { ASHLAR_ROOT: world.path("third") } };
  await said(["load", "-q", "-i", archive], third);
  await said(["tag", "x:1", `${name}:packed`], third);
  await said(["push", "-q", `${name}:packed`], third);
  expect((await layersOf(`${name}:packed`)).every(isPacked)).toBe(true);
  const missing = await world.ashlar(["push", `${name}:3`]);
  expect(missing).toMatchObject({
    code: 1,
    stderr: `ERROR: An image does not exist locally with the tag: ${name}:3\n`,
  });
});

test("an ordinary user without subordinate ids saves, loads and imports as root does", async (context) => {
  const grant = "no subordinate ids";
  needsUser(context, grant);
  const user = (words: readonly string[], input?: Uint8Array) =>
    startAs(world, words, { grant, ...(input ? { input } : {}) }).ended;
  const directory = world.files({ Dockerfile: DOCKERFILE });
  expect(await buildAs(world, ["-q", "-t", "app", directory], { grant })).toMatchObject({ code: 0 });
  const saved = world.path("saved.tar");
  expect(await user(["save", "-q", "-o", saved, "app"])).toMatchObject({ code: 0 });
  const archive = fs.readFileSync(saved);
  expect((await user(["rmi", "app"])).stdout).toMatch(/^Untagged: app:latest\nDeleted: sha256:/);
  expect(await user(["load"], archive)).toMatchObject({ code: 0, stdout: "Loaded image: app:latest\n" });
  expect(await user(["run", "app"])).toMatchObject({ code: 0, stdout: "made\n" });
  expect(await user(["import", "-q", "-", "fs"], archive)).toMatchObject({ code: 0 });
  expect((await user(["images", "--format", "{{.Repository}}"])).stdout).toBe("fs\napp\n");
});

test("podman loads what is saved, and what it saves is loaded", async (context) => {
  needsPeer(context, "podman");
  const places = ["--root", world.path("podman"), "--runroot", world.path("podman-run"), "--storage-driver=vfs"];
  const podman = (...words: readonly string[]) => run(["podman", ...places, ...words]);
  const id = await built(["app:1", "app:2"]);
  await said(["save", "-o", world.path("saved.tar"), "app"]);
  expect(await podman("load", "-i", world.path("saved.tar"))).toMatchObject({ code: 0 });
  const listed = await podman("images", "--no-trunc", "-q");
  expect([...new Set(listed.stdout.trim().split("\n"))]).toEqual([id]);
  for (const format of ["docker-archive", "oci-archive"]) {
    const file = world.path(`${format}.tar`);
    expect(await podman("save", "--format", format, "-o", file, "app:1")).toMatchObject({ code: 0 });
    expect(await said(["load", "-q", "-i", file])).toBe("Loaded image: localhost/app:1\n");
    expect(await said(["run", "localhost/app:1"])).toBe("made\n");
  }
});

test("dockerd loads what is saved, and what it saves is loaded", async (context) => {
  needsPeer(context, "dockerd");
  await using docker = await startDocker(context, world);
  const id = await built(["app:1", "app:2"]);
  await said(["save", "-o", world.path("saved.tar"), "app"]);
  expect(await docker.run("load", "-i", world.path("saved.tar"))).toMatchObject({ code: 0 });
  const listed = await docker.run("images", "--no-trunc", "-q", "app");
  expect(listed.stdout).toBe(`${id}\n`.repeat(2).slice(0, listed.stdout.length));
  expect(await docker.run("save", "-o", world.path("docker.tar"), "app:1")).toMatchObject({ code: 0 });
  await said(["rmi", "-f", id]);
  expect(await said(["load", "-q", "-i", world.path("docker.tar")])).toBe("Loaded image: app:1\n");
  expect(await said(["inspect", "-f", "{{.Id}}", "app:1"])).toBe(`${id}\n`);
  expect(await said(["run", "app:1"])).toBe("made\n");
});
