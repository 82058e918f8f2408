import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { digestOf, EngineError } from "../../src/base/index.js";
import type { BuildRequest } from "../../src/engine/request.js";
import { type BuildDiagnostic, BuildFailure, type BuildResult } from "../../src/engine/result.js";
import { ashlar, EMPTY, finished, streamOf } from "./world.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-cli-"));
afterAll(() => fs.rmSync(directory, { recursive: true }));
const file = (name: string) => path.join(directory, name);
const IMAGE: BuildResult = {
  ...EMPTY,
  imageId: digestOf("config"),
  digest: digestOf("manifest"),
  descriptor: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("manifest"), size: 500 },
  names: ["docker.io/library/app:latest"],
  sizeBytes: 2_000_000,
};

describe("the command line", () => {
  it.each([
    [["biuld"], "ERROR: unknown command 'biuld' (did you mean build?)\nRun 'ashlar --help' for more information.\n"],
    [
      ["build", "--tagg", "x"],
      "ERROR: unknown option '--tagg' (did you mean --tag?)\nRun 'ashlar build --help' for more information.\n",
    ],
    [["build"], "ERROR: no build context given"],
    [["build", ".", "extra"], "ERROR: too many arguments for 'build'"],
    [["build", "-t"], "ERROR: option '-t, --tag <name>' argument missing\n"],
    [["build", "--policy", "x", "."], "ERROR: --policy is not supported yet\n"],
    [["build", "--pull=perhaps", "."], 'ERROR: invalid value "perhaps" for --pull'],
    [["build", "--progress=tty", "."], "ERROR: --progress=tty needs a terminal on standard error\n"],
    [["run"], "ERROR: missing required argument 'image'\n"],
    [["run", "-v", "data:/data", "x"], "ERROR: named volumes are not supported"],
    [["run", "-t", "x"], "ERROR: -t needs a terminal"],
    [["images", "--format", "{{.Nothing"], "ERROR: template parsing error: template: :1:"],
    [["images", "--filter", "colour=red"], "ERROR: invalid filter 'colour'"],
    [["prune"], "ERROR: prune asks before it removes anything"],
  ])("refuses %j with 125 and one sentence", async (args, words) => {
    const { code, out, err } = await finished(args);
    expect(code).toBe(125);
    expect(err).toContain(words);
    expect(err.startsWith("ERROR: ")).toBe(true);
    expect(out).toBe("");
  });

  it("shows help where it is asked for, and without any word", async () => {
    expect(await finished([])).toMatchObject({ code: 0, err: "", out: expect.stringContaining("Usage: ashlar") });
    expect(await finished(["build", "--help"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("--no-cache-filter <stage>"),
    });
  });

  it("says its version", async () => {
    const version = expect.stringMatching(/^ashlar \d+\.\d+\.\d+ \(node v/);
    expect(await finished(["version"])).toMatchObject({ code: 0, out: version });
    expect(await finished(["--version"])).toMatchObject({ code: 0, out: version });
  });
});

describe("ashlar build", () => {
  it("builds, tells what was built on standard error, and closes the engine", async () => {
    const { code, out, err, requests, options, disposed, handlers } = await finished(
      ["build", "-t", "app", "--root", "/state", "--no-cache-filter", "a", "--rm", "--pull=true", directory],
      { engine: { build: async () => IMAGE } },
    );
    expect({ code, out, disposed, listening: handlers.size }).toEqual({ code: 0, out: "", disposed: 1, listening: 0 });
    expect(err).toContain(`Built docker.io/library/app:latest\n  ${IMAGE.digest}  2.00MB\n  run it: ashlar run app\n`);
    expect(options).toMatchObject([{ root: "/state" }]);
    expect(requests).toMatchObject([{ context: directory, tags: ["app"], noCache: ["a"], pull: true }]);
    expect(requests[0]).not.toHaveProperty("outputs");
  });

  it("prints only the image id with -q", async () => {
    const { code, out, err } = await finished(["build", "-q", directory], { engine: { build: async () => IMAGE } });
    expect({ code, out, err }).toEqual({ code: 0, out: `${IMAGE.imageId}\n`, err: "" });
  });

  it("writes the image id and the metadata to files", async () => {
    const args = ["build", "--iidfile", file("id"), "--metadata-file", file("meta.json"), directory];
    await finished(args, { engine: { build: async () => IMAGE } });
    expect(fs.readFileSync(file("id"), "utf8")).toBe(IMAGE.imageId);
    expect(JSON.parse(fs.readFileSync(file("meta.json"), "utf8"))).toMatchObject({
      "containerimage.config.digest": IMAGE.imageId,
      "containerimage.digest": IMAGE.digest,
      "containerimage.descriptor": IMAGE.descriptor,
      "image.name": "docker.io/library/app:latest",
    });
  });

  it("has the manifest of the last cache that was written in the metadata, as BuildKit says it", async () => {
    const named = (digest: string) => ({ mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 7 });
    const build = async () => ({ ...EMPTY, caches: [named("sha256:1"), named("sha256:2")] });
    const { code } = await finished(["build", "--metadata-file", file("cache.json"), directory], { engine: { build } });
    expect(code).toBe(0);
    expect(JSON.parse(fs.readFileSync(file("cache.json"), "utf8"))["cache.manifest"]).toBe(
      '{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:2","size":7}',
    );
  });

  it("has buildx's own warnings in the metadata where the environment asks for them", async () => {
    const build = async ({ onProgress }: BuildRequest) => {
      onProgress?.({ type: "warning", vertex: undefined, warning: { rule: "R", message: "m" } });
      return IMAGE;
    };
    const args = ["build", "--metadata-file", file("warned.json"), directory];
    const read = () => JSON.parse(fs.readFileSync(file("warned.json"), "utf8"));
    await finished(args, { engine: { build } });
    expect(read()).not.toHaveProperty("buildx.build.warnings");
    await finished(args, { engine: { build }, env: { BUILDX_METADATA_WARNINGS: "1" } });
    const short = Buffer.from("R: m").toString("base64");
    expect(read()).toMatchObject({ "buildx.build.warnings": [{ level: 1, short }] });
  });

  it("tells the warnings and the failure in the metadata of a build that fails", async () => {
    const location = { file: "Dockerfile", startLine: 2, endLine: 2 };
    const source = { ...location, text: "FROM base as x\nRUN false\n" };
    const failed: BuildDiagnostic = { severity: "error", message: "exit code: 3", hint: "Try true.", ...location };
    const step = { name: "[2/2] RUN false", exitCode: 3 };
    const build = async ({ onProgress }: BuildRequest) => {
      const place = { file: "Dockerfile", startLine: 1, endLine: 1, text: source.text };
      onProgress?.({ type: "warning", vertex: undefined, warning: { rule: "FromAsCasing", message: "m", ...place } });
      throw new BuildFailure("failed", "exit code: 3", { source, diagnostics: [failed], step }, { hint: "Try true." });
    };
    fs.writeFileSync(file("failed.json"), "old");
    const run = await finished(["build", "--metadata-file", file("failed.json"), directory], { engine: { build } });
    expect(run.code).toBe(1);
    const line = (number: number, length: number) => ({
      start: { line: number, character: 0 },
      end: { line: number, character: length },
    });
    expect(JSON.parse(fs.readFileSync(file("failed.json"), "utf8"))).toEqual({
      "ashlar.diagnostics": [
        { severity: "warning", rule: "FromAsCasing", message: "m", file: "Dockerfile", range: line(1, 14) },
        { severity: "error", message: "exit code: 3", hint: "Try true.", file: "Dockerfile", range: line(2, 9) },
      ],
      "ashlar.failure": { code: "failed", message: "exit code: 3", hint: "Try true.", step: step.name, exitCode: 3 },
    });
    expect(fs.readdirSync(directory).filter((name) => name.startsWith(".ashlar-"))).toEqual([]);
  });

  it("hides no failure behind a metadata file that can't be written", async () => {
    const build = () => Promise.reject(new EngineError("failed", "no"));
    const missing = file("nowhere/meta.json");
    const { code, err } = await finished(["build", "--metadata-file", missing, directory], { engine: { build } });
    expect(code).toBe(1);
    expect(err).toMatch(/^ERROR: no\nWARNING: .*nowhere\/meta.json could not be written: there is no directory /);
  });

  it("leaves no old image id behind when the build fails", async () => {
    fs.writeFileSync(file("old-id"), "sha256:old");
    await finished(["build", "--iidfile", file("old-id"), directory], {
      engine: { build: () => Promise.reject(new EngineError("failed", "no")) },
    });
    expect(fs.existsSync(file("old-id"))).toBe(false);
  });

  it("ends a failed build with 1 and the Dockerfile's line", async () => {
    const source = { file: "Dockerfile", text: "FROM base\nRUN false\n", startLine: 2, endLine: 2 };
    const cause = new EngineError("failed", "exit code: 1");
    const build = () =>
      Promise.reject(
        new BuildFailure("failed", "RUN false failed", { source, diagnostics: [] }, { cause, hint: "Try true." }),
      );
    const { code, err } = await finished(["build", "--progress=plain", directory], { engine: { build } });
    expect(code).toBe(1);
    expect(err).toContain("Dockerfile:2\n--------------------\n   1 |     FROM base\n   2 | >>> RUN false\n");
    expect(err.endsWith("ERROR: RUN false failed\nTry true.\n")).toBe(true);
    const debug = await finished(["build", "-D", directory], { engine: { build } });
    expect(debug.err).toContain("ERROR: RUN false failed\n  caused by: exit code: 1 (failed)\n");
    const env = await finished(["build", directory], { engine: { build }, env: { ASHLAR_DEBUG: "1" } });
    expect(env.err).toContain("caused by");
  });

  it("tells the same words once where one error only adds a place to another", async () => {
    const source = { file: "Dockerfile", text: "", startLine: 9, endLine: 9 };
    const cause = new EngineError("failed", "no", { cause: new Error("disk") });
    const build = () => Promise.reject(new BuildFailure("failed", "no", { source, diagnostics: [] }, { cause }));
    const { err } = await finished(["build", "-D", directory], { engine: { build } });
    expect(err).toBe("ERROR: no\n  caused by: disk (internal)\n");
  });

  it("never shows a stack trace", async () => {
    const build = () => Promise.reject(new TypeError("x is not a function"));
    const { code, err } = await finished(["build", directory], { engine: { build } });
    expect({ code, err }).toEqual({ code: 1, err: "ERROR: x is not a function\n" });
  });

  it("refuses a context that is no directory before it opens an engine", async () => {
    fs.writeFileSync(file("plain.txt"), "");
    for (const context of [file("plain.txt"), file("nowhere")]) {
      const { code, err, options } = await finished(["build", context]);
      expect({ code, err, options }).toEqual({
        code: 1,
        err: `ERROR: unable to prepare context: path ${JSON.stringify(context)} not found\n`,
        options: [],
      });
    }
  });

  it("refuses a secret whose file is missing", async () => {
    const { code, err } = await finished(["build", "--secret", `id=a,src=${file("none")}`, directory]);
    expect(code).toBe(1);
    expect(err).toBe(`ERROR: failed to stat ${file("none")}: no such file or directory\n`);
  });

  it("reads the Dockerfile from standard input with -f -, and the context with -", async () => {
    const dockerfile = await finished(["build", "-f", "-", directory], { stdin: ["FROM ", "scratch\n"] });
    expect(dockerfile.requests).toMatchObject([
      { dockerfile: "-", dockerfileText: "FROM scratch\n", context: directory },
    ]);
    let text = "";
    const context = await finished(["build", "-"], {
      stdin: ["FROM x"],
      engine: {
        build: async ({ context: given }) => {
          if (typeof given !== "string") for await (const chunk of given.stdin) text += Buffer.from(chunk).toString();
          return EMPTY;
        },
      },
    });
    expect(context.code).toBe(0);
    expect(text).toBe("FROM x");
  });

  it("hands outputs to the engine and says where they went", async () => {
    const build = async () => ({ ...IMAGE, names: [], outputs: [{ type: "oci", sizeBytes: 1000 }] });
    const { err, requests } = await finished(["build", "-o", `type=oci,dest=${file("out.tar")}`, directory], {
      engine: { build },
    });
    expect(requests[0]?.outputs).toEqual([{ type: "oci", dest: file("out.tar"), attrs: {} }]);
    expect(err).toContain(`  wrote oci archive to ${file("out.tar")} (1.00kB)\n`);
    const cache = await finished(["build", "-o", "type=cacheonly", directory]);
    expect(cache.requests[0]?.outputs).toEqual([]);
    const store = await finished(["build", "-o", "type=image,name=x", directory]);
    expect(store.requests[0]?.outputs).toEqual([{ type: "image", attrs: { name: "x" } }]);
  });

  it("writes an archive to standard output, but not to a terminal", async () => {
    const build = async (request: BuildRequest) => {
      streamOf(request).write("archive");
      return EMPTY;
    };
    expect(await finished(["build", "-o", "-", directory], { engine: { build } })).toMatchObject({
      code: 0,
      out: "archive",
    });
    expect(await finished(["build", "-o", "-", directory], { stdoutIsTerminal: true })).toMatchObject({
      code: 125,
      err: expect.stringContaining("refusing to write to a terminal"),
    });
  });

  it("ends without a word where the reader of its archive has gone", async () => {
    const build = () => Promise.reject(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    const { code, err } = await finished(["build", "-o", "-", directory], { engine: { build } });
    expect({ code, err }).toEqual({ code: 141, err: "" });
    expect(await finished(["build", directory], { engine: { build } })).toMatchObject({
      code: 1,
      err: "ERROR: write EPIPE\n",
    });
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("stops the build on %s and ends with %i; a second signal does not wait", async (signal, expected) => {
    let reached: () => void = () => undefined;
    const building = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const run = await ashlar(["build", directory], {
      engine: {
        build: ({ signal: abort }) => {
          reached();
          return new Promise((_, reject) => abort?.addEventListener("abort", () => reject(abort.reason)));
        },
      },
    });
    await building;
    run.send(signal);
    run.send(signal);
    expect(await run.code).toBe(expected);
    expect(run.exits).toEqual([expected]);
    expect(run.stderr.text).toBe(`ERROR: canceled by ${signal}\n`);
    expect(run.disposed()).toBe(1);
  });
});

describe("waiting for standard input", () => {
  it("ends on a signal", async () => {
    const run = await ashlar(["build", "-f", "-", directory], { stdin: "never" });
    await new Promise(setImmediate);
    run.send("SIGINT");
    expect(await run.code).toBe(130);
  });
});

describe("the commands of the store", () => {
  const day = 86_400_000;
  const now = Date.parse("2024-01-02T03:04:05.000Z");

  it("runs an image with the words behind its name, and ends as it does", async () => {
    const { code, calls } = await finished(
      [
        "run",
        "--rm",
        "-i",
        "-e",
        "A=1",
        "-e",
        "B",
        "-e",
        "C",
        "-v",
        "./d:/d:ro",
        "-u",
        "app",
        "-w=/w",
        "--entrypoint",
        "sh",
        "app",
        "-c",
        "exit 3",
        "--rm",
      ],
      { engine: { run: async () => 3 }, env: { B: "b" }, cwd: "/home" },
    );
    expect(code).toBe(3);
    expect(calls).toMatchObject([
      {
        image: "app",
        args: ["-c", "exit 3", "--rm"],
        env: ["A=1", "B=b"],
        volumes: ["/home/d:/d:ro"],
        user: "app",
        workdir: "/w",
        entrypoint: "sh",
      },
    ]);
  });

  it("ends with 125 where an image can't be run", async () => {
    const { code, err } = await finished(["run", "none"], {
      engine: { run: () => Promise.reject(new EngineError("not-found", "no image none")) },
    });
    expect({ code, err }).toEqual({ code: 125, err: "ERROR: no image none\n" });
  });

  it("prunes after it asked", async () => {
    const forced = await finished(["prune", "-f", "--all"]);
    expect(forced.out).toBe("Removed 2 records\nTotal reclaimed space: 1.50MB\n");
    expect(forced.calls).toMatchObject([{ all: true }]);
    const no = await finished(["prune"], { stdin: ["n\n"], stdinIsTerminal: true });
    expect(no).toMatchObject({ code: 0, calls: [], out: "" });
    const yes = await finished(["prune"], { stdin: ["y\n"], stdinIsTerminal: true });
    expect(yes.calls).toMatchObject([{ all: false }]);
  });

  it("shows what takes space", async () => {
    const plain = { shared: false, mutable: false, parents: [] } as const;
    const usage = [
      {
        id: "r1",
        ...plain,
        type: "regular",
        description: "RUN make",
        sizeBytes: 2_000_000,
        createdAt: now - day,
        lastUsedAt: now - 60_000,
        inUse: false,
      },
      {
        id: "b1",
        ...plain,
        type: "exec.cachemount",
        description: "layer",
        mutable: true,
        sizeBytes: 1_000_000,
        createdAt: now,
        lastUsedAt: now,
        inUse: true,
      },
    ] as const;
    const { out } = await finished(["du"], { engine: { usage } });
    expect(out).toMatch(/^ID +RECLAIMABLE +SIZE +LAST ACCESSED\nr1 +true +2\.00MB +About a minute ago\nb1\* +false /);
    expect(out).toContain("Reclaimable:\t2.00MB\nTotal:\t\t3.00MB\n");
    expect((await finished(["du", "-v"], { engine: { usage } })).out).toContain("Description:  RUN make\n");
  });

  it("says what the engine works with", async () => {
    expect((await finished(["info"])).out).toMatch(/^Version: \d.*\nRuntime: crun\n$/);
  });

  it("takes the root before the command as well", async () => {
    expect((await finished(["--root", "/a", "images"])).options).toEqual([{ root: "/a" }]);
    expect((await finished(["images", "--root", "/b"])).options).toEqual([{ root: "/b" }]);
  });
});
