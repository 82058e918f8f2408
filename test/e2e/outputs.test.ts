import fs from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { beforeEach, expect, test } from "vitest";
import { imageOf, needs, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const DOCKERFILE = "FROM base\nRUN echo made > /made\nUSER app\nENV A=b\nLABEL who=me\n";

async function unpacked(archive: string, into: string): Promise<string> {
  const directory = world.path(into);
  fs.mkdirSync(directory);
  expect(await run(["tar", "-xf", archive, "-C", directory])).toMatchObject({ code: 0 });
  return directory;
}

test("an OCI archive holds the image, and two of it are equal byte for byte", async () => {
  const context = world.files({ Dockerfile: DOCKERFILE });
  const archive = world.path("image.tar");
  expect(await world.build(["-o", `type=oci,dest=${archive}`, context])).toMatchObject({ code: 0 });
  const image = imageOf(await unpacked(archive, "layout"));
  expect(image.manifest.layers).toHaveLength(2);
  expect(image.config.config).toMatchObject({ User: "app", Labels: { who: "me" } });
  const again = world.path("again.tar");
  await world.build(["-o", `type=oci,dest=${again}`, context]);
  expect(imageOf(await unpacked(again, "again")).digest).toBe(image.digest);
});

test("a build without a name leaves an image without one, and files leave none, nor anything that nobody needs", async () => {
  const context = world.files({ Dockerfile: DOCKERFILE });
  const images = async () => (await world.ashlar(["images", "--format", "{{.Repository}} {{.ID}}"])).stdout;
  const outputs = ["type=oci,dest=", "type=docker,dest="].map((each) => `${each}${world.path("image.tar")}`);
  const words = [...outputs, "type=image,store=false"].flatMap((output) => ["-o", output]);
  expect(await world.build([...words, "--provenance=true", context])).toMatchObject({ code: 0 });
  expect(await images()).toBe("");
  expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
  const id = (await world.build(["-q", context])).stdout.trim();
  expect(await images()).toBe(`<none> ${id.slice("sha256:".length, "sha256:".length + 12)}\n`);
  expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
  expect(await world.ashlar(["run", id, "cat", "/made"])).toMatchObject({ code: 0, stdout: "made\n" });
  expect(await world.ashlar(["prune", "-f"])).toMatchObject({ code: 0 });
  expect(await images()).toBe("");
  // Layers that are packed meanwhile make another manifest of the same image.
  for (const more of [["-t", "app"], words, ["-t", "app"], []])
    expect(await world.build([...more, context])).toMatchObject({ code: 0 });
  expect(await images()).toMatch(/^app \w+\n$/);
  expect(await world.ashlar(["prune", "--check"])).toMatchObject({ code: 0 });
});

test("skopeo reads the archive, and umoci unpacks it", async (context) => {
  needs(context, "skopeo", "umoci");
  const directory = world.files({ Dockerfile: DOCKERFILE });
  const archive = world.path("image.tar");
  await world.build(["-t", "team/made:1.0", "-o", `type=oci,dest=${archive}`, directory]);
  const inspected = await run(["skopeo", "inspect", `oci-archive:${archive}`]);
  expect(inspected).toMatchObject({ code: 0 });
  expect(JSON.parse(inspected.stdout)).toMatchObject({ Labels: { who: "me" }, Os: "linux" });
  const layout = world.path("layout");
  const copied = await run(["skopeo", "--insecure-policy", "copy", `oci-archive:${archive}`, `oci:${layout}:latest`]);
  expect(copied).toMatchObject({ code: 0 });
  expect(await run(["umoci", "unpack", "--image", `${layout}:latest`, world.path("bundle")])).toMatchObject({
    code: 0,
  });
  expect(world.read("bundle", "rootfs", "made")).toBe("made\n");
});

test("a docker archive names the image as docker load wants it", async () => {
  const context = world.files({ Dockerfile: DOCKERFILE });
  const archive = world.path("image.tar");
  await world.build(["-t", "team/made:1.0", "-t", "made", "-o", `type=docker,dest=${archive}`, context]);
  const [entry] = JSON.parse(fs.readFileSync(path.join(await unpacked(archive, "docker"), "manifest.json"), "utf8"));
  expect(entry.RepoTags).toEqual(expect.arrayContaining(["team/made:1.0", "made:latest"]));
  expect(entry.Layers).toHaveLength(2);
  expect(fs.existsSync(world.path("docker", entry.Config))).toBe(true);
});

test("type=tar and type=local hold the files", async () => {
  const context = world.files({ Dockerfile: "FROM scratch\nCOPY a b/ /\n", a: "A", "b/c": "C" });
  const archive = world.path("files.tar");
  const directory = world.path("files");
  const words = ["-t", "nowhere", "-o", `type=tar,dest=${archive}`, "-o", directory, context];
  expect(await world.build(words)).toMatchObject({ code: 0 });
  expect((await world.ashlar(["images", "nowhere"])).stdout).not.toContain("nowhere");
  expect(fs.readdirSync(directory).sort()).toEqual(["a", "c"]);
  expect(fs.readFileSync(path.join(await unpacked(archive, "tar"), "c"), "utf8")).toBe("C");
});

test("dest=- writes the archive to standard output, and progress to standard error", async () => {
  const context = world.files({ Dockerfile: "FROM scratch\nCOPY a /\n", a: "A".repeat(100_000) });
  const script = `"$0" build -o type=tar,dest=- "$1" | tar -xf - -C "$2"`;
  const into = world.files({}, "into");
  const ashlar = path.resolve(import.meta.dirname, "../../bin/ashlar");
  const ended = await run(["sh", "-c", script, ashlar, context, into], { env: { ASHLAR_ROOT: world.root } });
  expect(ended).toMatchObject({ code: 0, stdout: "" });
  expect(world.read("into", "a")).toHaveLength(100_000);
});

test("a reader that goes away ends the build without a stack", async () => {
  const context = world.files({ Dockerfile: "FROM scratch\nCOPY a /\n", a: "A".repeat(3_000_000) });
  const ashlar = path.resolve(import.meta.dirname, "../../bin/ashlar");
  const script = `("$0" build -o - "$1"; echo "code $?" >&2) | head -c 10`;
  const ended = await run(["sh", "-c", script, ashlar, context], { env: { ASHLAR_ROOT: world.root } });
  expect(ended.stderr).toMatch(/^code [1-9]/m);
  expect(ended.stderr).not.toMatch(/^ {4}at /m);
});

test("-q, --iidfile and --metadata-file tell what was made", async () => {
  const context = world.files({ Dockerfile: DOCKERFILE });
  const files = ["--iidfile", world.path("iid"), "--metadata-file", world.path("metadata.json")];
  const built = await world.build(["-q", "-t", "one", "-t", "team/two:2", ...files, context]);
  expect(built).toMatchObject({ code: 0, stderr: "" });
  expect(built.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
  expect(world.read("iid")).toBe(built.stdout.trim());
  const metadata = JSON.parse(world.read("metadata.json"));
  expect(metadata).toMatchObject({
    "containerimage.config.digest": built.stdout.trim(),
    "containerimage.digest": expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    "containerimage.descriptor": { mediaType: expect.stringContaining("manifest") },
  });
  expect(metadata["image.name"]).toContain("docker.io/team/two:2");
  expect((await world.ashlar(["images", "-q"])).stdout.trim().split("\n")).toHaveLength(1);
});

test("of several platforms the index is what -q, --iidfile and --metadata-file tell", async () => {
  const context = world.files({ Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
  const files = ["--iidfile", world.path("iid"), "--metadata-file", world.path("metadata.json")];
  const built = await world.build(["-q", "-t", "two", "--platform=linux/amd64,linux/arm64", ...files, context]);
  const metadata = JSON.parse(world.read("metadata.json"));
  expect(metadata).not.toHaveProperty(["containerimage.config.digest"]);
  expect(metadata["containerimage.digest"]).toBe(built.stdout.trim());
  expect(world.read("iid")).toBe(built.stdout.trim());
});

test("a failed build leaves no image id behind", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN exit 1\n", iid: "old" });
  expect(await world.build(["--iidfile", path.join(context, "iid"), context])).toMatchObject({ code: 1 });
  expect(fs.existsSync(path.join(context, "iid"))).toBe(false);
});

test("build - takes a Dockerfile from standard input", async () => {
  const dockerfile = "FROM base\nRUN echo from stdin > /made\n";
  const out = world.path("out");
  expect(await world.build(["-o", out, "-"], { input: dockerfile })).toMatchObject({ code: 0 });
  expect(world.read("out", "made")).toBe("from stdin\n");
});

test("-f - takes the Dockerfile from standard input, the files from the context", async () => {
  const context = world.files({ file: "of the context" });
  const out = world.path("out");
  const input = "FROM scratch\nCOPY file /\n";
  expect(await world.build(["-f", "-", "-o", out, context], { input })).toMatchObject({ code: 0 });
  expect(world.read("out", "file")).toBe("of the context");
});

for (const [name, pack] of [
  ["tar", (tar: Buffer) => tar],
  ["tar.gz", (tar: Buffer) => gzipSync(tar)],
] as const) {
  test(`build - takes a context as ${name} from standard input`, async () => {
    const context = world.files({ Dockerfile: "FROM scratch\nCOPY . /\n", "sub/file": "in the archive" });
    await run(["tar", "-cf", world.path("context.tar"), "-C", context, "."]);
    const input = pack(fs.readFileSync(world.path("context.tar")));
    const out = world.path("out");
    expect(await world.build(["-o", out, "-"], { input })).toMatchObject({ code: 0 });
    expect(world.read("out", "sub", "file")).toBe("in the archive");
  });
}

test("load takes an archive that build wrote, by its name or another", async () => {
  const context = world.files({ Dockerfile: 'FROM base\nRUN echo made > /made\nCMD ["cat", "/made"]\n' });
  for (const type of ["oci", "docker"]) {
    const archive = world.path(`${type}.tar`);
    await world.build(["-t", "written", "-o", `type=${type},dest=${archive}`, context]);
    const other = { env: { ASHLAR_ROOT: world.path(`${type}-root`) } };
    expect(await world.ashlar(["load", "-i", archive, "-t", `loaded-${type}`], other)).toMatchObject({ code: 0 });
    expect(await world.ashlar(["run", `loaded-${type}`], other)).toMatchObject({ code: 0, stdout: "made\n" });
  }
});
