import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hasDockerRegistry, startRegistry, type TestRegistry } from "../registry/docker-registry.js";
import { BASE_LAYOUT, imageOf, needs, run, World } from "./world.js";

describe.skipIf(!hasDockerRegistry)("images of Docker's schema 1", () => {
  let registry: TestRegistry;
  let world: World;
  beforeAll(async () => {
    registry = await startRegistry("plain");
  });
  afterAll(() => registry?.[Symbol.asyncDispose]());
  beforeEach(() => {
    world = new World();
    return () => world[Symbol.asyncDispose]();
  });

  it("are built on with a warning, by tag and by digest, and known the next time", async (context) => {
    needs(context, "skopeo");
    const name = `${registry.name}/old/base:1`;
    const words = [
      "copy",
      "-q",
      "--dest-tls-verify=false",
      "--format=v2s1",
      `oci:${BASE_LAYOUT}:latest`,
      `docker://${name}`,
    ];
    const { code, stderr: said } = await run(["skopeo", "--insecure-policy", ...words]);
    if (code !== 0) context.skip(`skopeo can't write such an image: ${said.trim()}`);
    const inspected = await run(["skopeo", "inspect", "--tls-verify=false", `docker://${name}`]);
    const { Digest: digest } = JSON.parse(inspected.stdout);
    const directory = world.files({
      Dockerfile: `FROM ${name}\nCOPY Dockerfile /d\n`,
      "by-digest": `FROM ${name}@${digest}\nRUN test -x /bin/sh\n`,
    });
    const output = (to: string) => ["-o", `type=oci,tar=false,dest=${world.path(to)}`];
    const build = (...more: readonly string[]) => world.ashlar(["build", "--progress=plain", ...more, directory]);

    const first = await build(...output("out"));
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining("Docker's schema 1") });
    const { config } = imageOf(world.path("out"));
    const base = imageOf(BASE_LAYOUT);
    expect(config.rootfs.diff_ids[0]).toBe(base.config.rootfs.diff_ids[0]);
    expect(config.config).toMatchObject({ Cmd: ["sh"] });

    const requests = registry.log.length;
    const again = await build(...output("again"));
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining("CACHED") });
    expect(registry.log.slice(requests).filter((line) => line.includes("/old/base/"))).toEqual([]);
    expect(await build("-f", world.path("context/by-digest"))).toMatchObject({ code: 0 });
  });
});
