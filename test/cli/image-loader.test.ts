import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { finished } from "node:stream/promises";
import { afterAll, describe, expect, it } from "vitest";
import { createImageLoader } from "../../src/cli/image-loader.js";
import { ashlar, EMPTY, streamOf } from "./world.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-load-"));
afterAll(() => fs.rmSync(directory, { recursive: true }));

/** A PATH on which PROGRAM is this script, and nothing else of this machine but what the scripts use. */
function pathWith(program: string, script: string): string {
  const bin = fs.mkdtempSync(path.join(directory, "bin-"));
  fs.writeFileSync(path.join(bin, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  for (const used of ["cat", "sh"]) fs.symlinkSync(`/bin/${used}`, path.join(bin, used));
  return bin;
}

describe("loading an image into another engine", () => {
  it("hands docker the archive and ends when docker is done", async () => {
    const out = path.join(directory, "loaded");
    const { program, archive } = createImageLoader({
      PATH: pathWith("docker", `cat > ${out}; echo "args: $1" >> ${out}`),
    });
    expect(program).toBe("docker");
    archive.write("abc");
    archive.end("def");
    await finished(archive);
    expect(fs.readFileSync(out, "utf8")).toBe("abcdefargs: load\n");
  });

  it("fails with the program's own words, even if it does not read", async () => {
    const { archive } = createImageLoader({ PATH: pathWith("podman", "echo 'cannot connect' >&2; exit 1") });
    archive.end(Buffer.alloc(1_000_000));
    await expect(finished(archive)).rejects.toThrow("podman load: cannot connect");
  });

  it("says what to do where neither is there", () => {
    expect(() => createImageLoader({ PATH: directory })).toThrow("neither docker nor podman is on the PATH");
  });

  it("is what --load does, and the last line says how to run the image", async () => {
    const PATH = pathWith("docker", "cat > /dev/null");
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
    const PATH = pathWith("docker", "echo 'no daemon' >&2; exit 1");
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
