import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import {
  hasDockerRegistry,
  rootOf,
  startRegistry,
  type TestImage,
  type TestRegistry,
  testImage,
  testIndex,
} from "../registry/docker-registry.js";
import { findProgram, run, World } from "./world.js";

const AMD64 = testImage(["one", "two"], { os: "linux", architecture: "amd64" }, { who: "amd64" });
const ARM64 = testImage(["one", "three"], { os: "linux", architecture: "arm64" });
const ARM = testImage(["four"], { os: "linux", architecture: "arm", variant: "v7" });
const INDEX = testIndex([AMD64, ARM64]);

describe.skipIf(!hasDockerRegistry)("images that stay in registries", () => {
  let registry: TestRegistry;
  let world: World;
  beforeAll(async () => {
    registry = await startRegistry("plain");
    await registry.put("src/one", "amd64", AMD64);
    await registry.put("src/one", "arm64", ARM64);
    await registry.put("src/two", "arm", ARM);
    await registry.put("src/all", "1", INDEX);
  });
  afterAll(() => registry?.[Symbol.asyncDispose]());
  beforeEach(() => {
    world = new World();
    return () => world[Symbol.asyncDispose]();
  });
  const ashlar = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await world.ashlar(words, { env: { DOCKER_CONFIG: world.path("docker") } });
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  const at = (name: string): string => `${registry.name}/${name}`;
  const digestAt = (image: TestImage): string => rootOf(image).digest;

  it("imagetools inspect shows an index as buildx does, by templates, and as it is", async () => {
    const name = at("src/all:1");
    const list = [
      `Name:      ${name}`,
      "MediaType: application/vnd.oci.image.index.v1+json",
      `Digest:    ${digestAt(INDEX)}`,
      "           ",
      "Manifests: ",
      `  Name:      ${name}@${digestAt(AMD64)}`,
      "  MediaType: application/vnd.oci.image.manifest.v1+json",
      "  Platform:  linux/amd64",
      "             ",
      `  Name:      ${name}@${digestAt(ARM64)}`,
      "  MediaType: application/vnd.oci.image.manifest.v1+json",
      "  Platform:  linux/arm64",
      "",
    ].join("\n");
    expect(await ashlar("imagetools", "inspect", name)).toBe(list);
    expect(await ashlar("imagetools", "inspect", "--format", " {{.Manifest}}", name)).toBe(list);
    expect(digestOf(await ashlar("imagetools", "inspect", "--raw", name))).toBe(digestAt(INDEX));
    const template =
      '{{.Name}} {{range .Manifest.Manifests}}{{.Platform.Architecture}} {{end}}{{json (index .Image "linux/amd64").Config.Labels}}';
    expect(await ashlar("imagetools", "inspect", "--format", template, name)).toBe(
      `${name} amd64 arm64 {\n  "who": "amd64"\n}`,
    );
    expect(JSON.parse(await ashlar("imagetools", "inspect", "--format=json", at("src/two:arm")))).toMatchObject({
      name: at("src/two:arm"),
      manifest: { digest: digestAt(ARM) },
      image: { architecture: "arm", variant: "v7", rootfs: { diff_ids: [digestOf("four")] } },
    });
  });

  it("imagetools create makes one image of several repositories', whose blobs are mounted, and adds to it", async () => {
    await ashlar(
      "imagetools",
      "create",
      "-t",
      at("new/app:1"),
      "-t",
      at("new/app:2"),
      at("src/all:1"),
      at("src/two:arm"),
    );
    const shown = JSON.parse(await ashlar("imagetools", "inspect", "--raw", at("new/app:2")));
    expect(shown.manifests).toEqual(
      [AMD64, ARM64, ARM]
        .map(rootOf)
        .map(({ mediaType, digest, size, platform }) => ({ mediaType, digest, size, platform })),
    );
    expect(
      registry.log.some(
        (line) => line.includes("POST") && line.includes(`mount=${encodeURIComponent(digestOf("four"))}`),
      ),
    ).toBe(true);
    const metadata = world.path("meta.json");
    await ashlar("imagetools", "create", "-t", at("few:1"), "--platform=linux/arm64", at("new/app:1"));
    await ashlar("imagetools", "create", "-t", at("few:1"), "--append", "--metadata-file", metadata, at("src/two:arm"));
    const few = JSON.parse(await ashlar("imagetools", "inspect", "--raw", at("few:1")));
    expect(few.manifests.map(({ digest }: { digest: string }) => digest)).toEqual([ARM64, ARM].map(digestAt));
    expect(JSON.parse(fs.readFileSync(metadata, "utf8"))).toMatchObject({ "image.name": at("few") });
  });

  it("imagetools create --dry-run writes nothing, and copies a single source's bytes where that is wanted", async () => {
    const plain = await ashlar("imagetools", "create", "--dry-run", "--prefer-index=false", at("src/one:amd64"));
    expect(digestOf(plain.replace(/\n$/, ""))).toBe(digestAt(AMD64));
    const notes = ["--annotation", "index:a=b", "--annotation", "manifest-descriptor[linux/amd64]:c=d"];
    const words = ["imagetools", "create", "--dry-run", "-t", at("never:1"), ...notes, at("src/one:amd64")];
    expect(JSON.parse(await ashlar(...words))).toMatchObject({
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [{ digest: digestAt(AMD64), annotations: { c: "d" } }],
      annotations: { a: "b" },
    });
    await expect(ashlar("imagetools", "inspect", at("never:1"))).rejects.toThrow("not found");
    await expect(ashlar("imagetools", "create", at("src/all:1"))).rejects.toThrow("please set --tag or --dry-run");
  });

  it("manifest keeps, changes, pushes and shows lists as docker does", async (context) => {
    const docker = findProgram("docker");
    if (docker === undefined) context.skip("docker is not installed");
    const list = at("list/app:1");
    const dockers = { ...process.env, DOCKER_CONFIG: world.path("theirs") };
    const compare = async (...words: readonly string[]): Promise<void> => {
      const ours = await ashlar("manifest", ...words);
      const theirs = execFileSync(docker ?? "", ["manifest", ...words], { env: dockers, encoding: "utf8" });
      expect(ours).toBe(theirs);
    };
    await compare("create", "--insecure", list, at("src/one:amd64"), at("src/two:arm"));
    await compare("annotate", list, at("src/two:arm"), "--variant=v6", "--os-features=x,y");
    await compare("inspect", list);
    await compare("inspect", "-v", list, at("src/two:arm"));
    await compare("push", "--insecure", list);
    expect(execFileSync("diff", ["-r", world.path("docker/manifests"), world.path("theirs/manifests")]).length).toBe(0);
    await compare("rm", list);
    await compare("inspect", "--insecure", list);
    await compare("inspect", "--insecure", "-v", list);
    await compare("inspect", "--insecure", at("src/one:amd64"));
    await expect(ashlar("manifest", "rm", list)).rejects.toThrow(`No such manifest: ${list}`);
    await expect(ashlar("manifest", "inspect", at("none"))).rejects.toThrow(`no such manifest: ${at("none")}:latest`);
    await expect(ashlar("manifest", "create", at("x"), list)).rejects.toThrow(`${list} is a manifest list`);
  });

  it("skopeo copies what was made", async (context) => {
    if (findProgram("skopeo") === undefined) context.skip("skopeo is not installed");
    await ashlar(
      "imagetools",
      "create",
      "--progress=quiet",
      "-t",
      at("copied:1"),
      at("src/one:arm64"),
      at("src/two:arm"),
    );
    const words = ["skopeo", "copy", "--all", "--src-tls-verify=false", `docker://${at("copied:1")}`];
    expect(await run([...words, `oci:${world.path("layout")}:1`])).toMatchObject({ code: 0 });
  });
});
