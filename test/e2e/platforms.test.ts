import { execFileSync } from "node:child_process";
import { beforeEach, describe, expect, test } from "vitest";
import { World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** Each run of `common` would make another file: it must run once for all platforms. */
const TEXT = `FROM --platform=$BUILDPLATFORM base AS common
RUN head -c 16 /dev/urandom > /once
FROM --platform=$BUILDPLATFORM common AS made
ARG TARGETARCH
RUN echo $TARGETARCH > /arch
FROM scratch
COPY --from=common /once /
COPY --from=made /arch /
ENV FOR=all
`;

interface Descriptor {
  readonly digest: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** A document of an OCI archive. */
function document(archive: string, name: string): never {
  return JSON.parse(execFileSync("tar", ["-xOf", archive, name], { encoding: "utf8" })) as never;
}

function blob(
  archive: string,
  { digest }: Descriptor,
): { manifests: Descriptor[]; layers: Descriptor[]; config: Descriptor } {
  return document(archive, `blobs/${digest.replace(":", "/")}`);
}

function root(archive: string): Descriptor {
  const { manifests } = document(archive, "index.json") as { readonly manifests: readonly Descriptor[] };
  return manifests[0] as Descriptor;
}

describe("a build for several platforms", () => {
  test("runs once what does not depend on the platform, and makes an index of an image each", async () => {
    const context = world.files({ Dockerfile: TEXT });
    const archive = world.path("out.tar");
    const words = ["--platform=linux/arm64,linux/amd64", "-o", `type=oci,dest=${archive}`, context];
    const built = await world.build(words);
    expect(built).toMatchObject({ code: 0 });
    expect(built.stderr).not.toContain("Warning");
    expect(new Set(built.stderr.match(/^#\d+ .*RUN head -c 16 .*$/gm)).size).toBe(1);
    const { manifests } = blob(archive, root(archive));
    expect(manifests.map(({ platform }) => platform)).toEqual([
      { os: "linux", architecture: "arm64" },
      { os: "linux", architecture: "amd64" },
    ]);
    const [arm, amd] = manifests.map((manifest) => blob(archive, manifest));
    expect(arm?.layers[0]?.digest).toBe(amd?.layers[0]?.digest);
    expect(arm?.layers[1]?.digest).not.toBe(amd?.layers[1]?.digest);
    const again = await world.build(words);
    expect(again).toMatchObject({ code: 0, stdout: built.stdout });
    expect(again.stderr).not.toMatch(/RUN .*\n#\d+ DONE/);
  });

  test("may be asked for with one, and the files of each are in a directory of their own", async () => {
    const context = world.files({ Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
    const archive = world.path("out.tar");
    const flag = ["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"];
    expect(await world.build([...flag, "-o", `type=oci,dest=${archive}`, context])).toMatchObject({ code: 0 });
    expect(blob(archive, root(archive)).manifests).toHaveLength(1);
    const platform = ["--platform=linux/s390x"];
    expect(await world.build([...flag, ...platform, "-o", world.path("files"), context])).toMatchObject({ code: 0 });
    expect(world.read("files/linux_s390x/Dockerfile")).toContain("FROM scratch");
    const refused = await world.build([
      "--build-arg",
      "BUILDKIT_MULTI_PLATFORM=0",
      "--platform=linux/s390x,linux/arm64",
      context,
    ]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("returning multiple target platforms") });
  });
});

describe("a named context", () => {
  test("may be a stage of the same file", async () => {
    const text =
      "FROM base AS made\nRUN echo made > /f\nFROM tools\nRUN cat /f > /g\nFROM scratch\nCOPY --from=1 /g /\n";
    const context = world.files({ Dockerfile: text });
    const words = ["--build-context", "tools=target:made", "-o", world.path("out"), context];
    expect(await world.build(words)).toMatchObject({ code: 0 });
    expect(world.read("out/g")).toBe("made\n");
  });
});

test("what an ARG ahead of FROM says of SOURCE_DATE_EPOCH counts for the image", async () => {
  const context = world.files({ Dockerfile: "ARG SOURCE_DATE_EPOCH=1000000000\nFROM scratch\nCOPY Dockerfile /\n" });
  const archive = world.path("out.tar");
  expect(await world.build(["-o", `type=oci,dest=${archive}`, context])).toMatchObject({ code: 0 });
  expect(blob(archive, blob(archive, root(archive)).config)).toMatchObject({ created: "2001-09-09T01:46:40Z" });
});
