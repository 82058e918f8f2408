import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { finished } from "node:stream/promises";
import { afterAll, describe, expect, it } from "vitest";
import { createImageLoader } from "../../src/cli/image-loader.js";
import { ashlar, EMPTY, streamOf } from "./world.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-load-"));
afterAll(() => fs.rmSync(directory, { recursive: true }));

/** A PATH on which PROGRAM is this script (and FURTHER ones that), and nothing else of this machine but what the scripts use. */
function pathWith(program: string, script: string, further: Readonly<Record<string, string>> = {}): string {
  const bin = fs.mkdtempSync(path.join(directory, "bin-"));
  for (const [name, text] of Object.entries({ [program]: script, ...further }))
    fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  for (const used of ["cat", "sh"]) fs.symlinkSync(`/bin/${used}`, path.join(bin, used));
  return bin;
}

/** What daemons answer when they are asked who they are. */
const UP = `if [ "$1" = info ]; then echo '[["Backing Filesystem","extfs"]]'; exit 0; fi`;
const CONTAINERD_UP = `if [ "$1" = info ]; then echo '[["driver-type","io.containerd.snapshotter.v1"]]'; exit 0; fi`;
const DOWN = "echo 'ERROR: Cannot connect to it.' >&2; exit 1";

describe("loading an image into another engine", () => {
  it("hands docker the archive and ends when docker is done", async () => {
    const out = path.join(directory, "loaded");
    const { program, archive, notice, takesIndexes } = await createImageLoader({
      PATH: pathWith("docker", `${UP}; cat > ${out}; echo "args: $1" >> ${out}`, { podman: "exit 1" }),
    });
    expect({ program, notice, takesIndexes }).toEqual({ program: "docker", notice: undefined, takesIndexes: false });
    archive.write("abc");
    archive.end("def");
    await finished(archive);
    expect(fs.readFileSync(out, "utf8")).toBe("abcdefargs: load\n");
  });

  it("fails with the program's own words, even if it does not read", async () => {
    const { archive } = await createImageLoader({ PATH: pathWith("podman", "echo 'cannot connect' >&2; exit 1") });
    archive.end(Buffer.alloc(1_000_000));
    await expect(finished(archive)).rejects.toThrow("podman load: cannot connect");
  });

  it("says what to do where neither is there, or no daemon answers", async () => {
    await expect(createImageLoader({ PATH: directory })).rejects.toMatchObject({
      message: "loading the image: neither docker nor podman is on the PATH",
      hint: "Use -o type=docker,dest=FILE to write the archive to a file.",
    });
    await expect(createImageLoader({ PATH: pathWith("docker", DOWN) })).rejects.toMatchObject({
      code: "unavailable",
      message: "loading the image: docker's daemon does not answer: Cannot connect to it.",
    });
  });

  it("goes to podman where docker has no daemon, and says so", async () => {
    const PATH = pathWith("docker", DOWN, { podman: "cat > /dev/null" });
    const { program, notice } = await createImageLoader({ PATH });
    expect(program).toBe("podman");
    expect(notice).toBe("docker's daemon does not answer, so the image goes to podman: Cannot connect to it.");
    const run = await ashlar(["build", "--load", "-t", "app", directory], {
      env: { PATH },
      engine: {
        build: async (request) => {
          streamOf(request).end("archive");
          return { ...EMPTY, imageId: "sha256:id" };
        },
      },
    });
    expect(await run.code).toBe(0);
    expect(run.stderr.text).toContain(notice);
    expect(run.stderr.text).toContain("loaded into podman; run it: podman run --rm app\n");
  });

  it("says so even where it is to say nothing", async () => {
    const PATH = pathWith("docker", DOWN, { podman: "cat > /dev/null" });
    const types: string[] = [];
    const run = await ashlar(["build", "-q", "--load", "-t", "app", directory], {
      env: { PATH },
      engine: {
        build: async (request) => {
          types.push(...(request.outputs ?? []).map((output) => output.type));
          streamOf(request).end("archive");
          return { ...EMPTY, imageId: "sha256:id" };
        },
      },
    });
    expect(await run.code).toBe(0);
    expect(run.stderr.text).toMatch(/^WARNING: docker's daemon does not answer, so the image goes to podman: .*\n$/);
    expect(types).toEqual(["docker", "image"]);
  });

  it.each(["DOCKER_HOST", "DOCKER_CONTEXT"])("goes nowhere else where %s says which daemon is meant", async (name) => {
    const PATH = pathWith("docker", DOWN, { podman: "cat > /dev/null" });
    await expect(createImageLoader({ PATH, [name]: "unix:///nosock" })).rejects.toMatchObject({
      code: "unavailable",
      message: "loading the image: docker's daemon does not answer: Cannot connect to it.",
    });
  });

  it.each([
    ["one image where docker keeps no indexes", UP, "docker"],
    ["all platforms where containerd keeps docker's images", `${CONTAINERD_UP}`, "oci"],
  ])("sends %s", async (_, up, type) => {
    const PATH = pathWith("docker", `${up}; cat > /dev/null`);
    const types: string[] = [];
    const run = await ashlar(["build", "--load", "--platform=linux/amd64,linux/arm64", directory], {
      env: { PATH },
      engine: {
        build: async (request) => {
          types.push(...(request.outputs ?? []).map((output) => output.type));
          streamOf(request).end("archive");
          return EMPTY;
        },
      },
    });
    expect(await run.code).toBe(0);
    expect(types).toEqual([type]);
  });

  it("is what --load does, and the last line says how to run the image", async () => {
    const PATH = pathWith("docker", `${UP}; cat > /dev/null`);
    const run = await ashlar(["build", "--load", "-t", "app", directory], {
      env: { PATH },
      engine: {
        build: async (request) => {
          streamOf(request).end("archive");
          return { ...EMPTY, imageId: "sha256:id" };
        },
      },
    });
    expect(await run.code).toBe(0);
    expect(run.stderr.text).toContain("loaded into docker; run it: docker run --rm app\n");
  });

  it("fails the build where loading fails", async () => {
    const PATH = pathWith("docker", `${UP}; echo 'no daemon' >&2; exit 1`);
    const run = await ashlar(["build", "--load", directory], {
      env: { PATH },
      engine: {
        build: async (request) => {
          streamOf(request).end("archive");
          return EMPTY;
        },
      },
    });
    expect(await run.code).toBe(1);
    expect(run.stderr.text).toBe("ERROR: docker load: no daemon\n");
  });
});
