import { afterAll, beforeAll, beforeEach, describe, expect, it, type TestContext } from "vitest";
import { hasDockerRegistry, startRegistry, type TestRegistry } from "../registry/docker-registry.js";
import { BASE_LAYOUT, imageOf, needs, run, World } from "./world.js";

describe.skipIf(!hasDockerRegistry)("base images that others pushed", () => {
  let registry: TestRegistry;
  let other: TestRegistry;
  let world: World;
  beforeAll(async () => {
    [registry, other] = await Promise.all([startRegistry("plain"), startRegistry("plain")]);
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    world = new World();
    return () => world[Symbol.asyncDispose]();
  });

  const copy = async (context: TestContext, from: string, to: string, ...flags: readonly string[]) => {
    needs(context, "skopeo");
    const words = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
    expect(await run([...words, ...flags, from, to])).toMatchObject({ code: 0 });
  };
  const base = imageOf(BASE_LAYOUT);
  const inRegistry = (name: string): string => `docker://${registry.name}/${name}`;

  it.for(["zstd", "uncompressed"])("are built on with %s layers", async (form, context) => {
    if (form === "zstd") {
      const flags = ["--dest-compress-format=zstd", "--format=oci"];
      await copy(context, `oci:${BASE_LAYOUT}:latest`, inRegistry("zstd:1"), ...flags);
    } else {
      const output = `type=registry,name=${registry.name}/${form}:1,compression=${form},force-compression=true`;
      // Where the same layer is known in another form, too, that one would do.
      const elsewhere = { env: { ASHLAR_ROOT: world.path("elsewhere") } };
      const words = ["-o", output, world.files({ Dockerfile: "FROM base\n" })];
      expect(await world.build(words, elsewhere)).toMatchObject({ code: 0 });
    }
    const directory = world.files({ Dockerfile: `FROM ${registry.name}/${form}:1\nRUN echo made > /made\n` });
    const out = world.path("out");
    const built = await world.ashlar(["build", "-o", `type=oci,tar=false,dest=${out}`, directory]);
    expect(built, built.stderr).toMatchObject({ code: 0 });
    const { manifest, config } = imageOf(out);
    expect(config.rootfs.diff_ids[0]).toBe(base.config.rootfs.diff_ids[0]);
    expect(manifest.layers[0]).toMatchObject({ mediaType: expect.stringMatching(form === "zstd" ? /zstd$/ : /tar$/) });
  });

  it("are pushed on without a look at their layers, by a mount or from registry to registry", async (context) => {
    const name = `${registry.name}/lazy/base:1`;
    await copy(context, `oci:${BASE_LAYOUT}:latest`, `docker://${name}`, "--preserve-digests");
    const [layer] = base.manifest.layers;
    const gets = () => registry.log.filter((line) => line.includes(`"GET /v2/lazy/base/blobs/${layer?.digest}`)).length;
    const directory = world.files({ Dockerfile: `FROM ${name}\nCOPY --link Dockerfile /d\nLABEL a=b\n` });
    const push = (to: string) =>
      world.ashlar(["build", "--push", "-t", `${to}/lazier:1`, "-t", `${to}/lazier:2`, directory]);
    expect(await push(registry.name)).toMatchObject({ code: 0 });
    expect(gets()).toBe(0);
    const mounted = registry.log.filter((line) => line.includes("POST") && line.includes("from=lazy%2Fbase"));
    expect(mounted).not.toEqual([]);
    expect(await push(other.name)).toMatchObject({ code: 0 });
    expect(gets()).toBe(1);
    const words = ["skopeo", "inspect", "--tls-verify=false", `docker://${other.name}/lazier:2`];
    expect(JSON.parse((await run(words)).stdout).Layers).toContain(layer?.digest);
  });

  it("that are damaged are told by their names", async (context) => {
    const name = `${registry.name}/damaged/base:1`;
    await copy(context, `oci:${BASE_LAYOUT}:latest`, `docker://${name}`, "--preserve-digests");
    const [layer] = base.manifest.layers;
    const removed = await fetch(`http://${registry.name}/v2/damaged/base/blobs/${layer?.digest}`, { method: "DELETE" });
    expect(removed.status).toBe(202);
    const built = await world.ashlar(["build", world.files({ Dockerfile: `FROM ${name}\nRUN true\n` })]);
    expect(built.code).toBe(1);
    const line = built.stderr.split("\n").find((each) => each.startsWith("ERROR: "));
    expect(line).toBe(`ERROR: fetching layer ${layer?.digest} of ${name}@${base.digest}: not found`);
  });
});
