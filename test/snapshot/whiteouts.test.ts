import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { createDataPlane } from "../../src/snapshot/data-plane.js";
import { stateDirs } from "../../src/snapshot/state-dirs.js";
import type { LayerId } from "../../src/snapshot/tree.js";
import { END_OF_ARCHIVE, encodeHeader } from "../../src/tar/index.js";
import { type Ground, Harness } from "./harness.js";

const FORGE = (name: string) =>
  ["trusted", "user"].map((kind) => `setfattr -n ${kind}.ashlar.whiteout -v y ${name}`).join(" && ");
const GROUNDS: readonly Ground[] = ["overlay", "native", "native on overlay"];

describe.each(GROUNDS)("what marks a name as gone, with the %s snapshotter,", (ground) => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await Harness.start(ground);
  });
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
  });
  const names = async (tree: readonly LayerId[]) => [...(await harness.run("look", { tree })).keys()];

  /** The names in the layer's archive. */
  const archived = async (layer: LayerId) => {
    const output = harness.file("layer.tar");
    await harness.run("exportLayer", { layer, compression: { kind: "none" }, output });
    return execFileSync("tar", ["-tf", output], { encoding: "utf8" }).trim().split("\n");
  };

  it("is no file of the committed layer to anybody", async () => {
    const base = await harness.layer([], "mkdir d && touch d/a d/b f");
    const top = await harness.layer([base], "rm d/a f");
    expect(await archived(top)).toEqual(["d/", "d/.wh.a", ".wh.f"]);
    expect(await names([base, top])).toEqual(["d", "d/b"]);
    // Alone, it hides nothing; and it shows nothing.
    expect(await names([top])).toEqual(["d"]);
    expect((await harness.run("rawFiles", { layer: top }))["d/a"]).toEqual(
      ground === "native on overlay"
        ? { type: "-", xattrs: ["trusted.ashlar.whiteout"] }
        : { type: "other", xattrs: [] },
    );
    const again = await harness.layer([base, top], "echo back > f");
    expect(await names([base, top, again])).toEqual(["d", "d/b", "f"]);
  });

  it("can't be set by a step: its file stays, without the mark", async () => {
    const base = await harness.layer(
      [],
      `touch old other && chmod 0 old && : > mine && chmod 0 mine && ${FORGE("mine")}`,
    );
    expect(await archived(base)).toEqual(["mine", "old", "other"]);
    const top = await harness.layer([base], `: > new && chmod 0 new && ${FORGE("new")} && ${FORGE("old")} && rm other`);
    expect(await archived(top)).toEqual(["new", ".wh.other"]);
    expect(await names([base, top])).toEqual(["mine", "new", "old"]);
    expect((await harness.run("rawFiles", { layer: top })).new).toEqual({ type: "-", xattrs: [] });
  });

  it("can't be set by a step for all that a directory had: it keeps it, without the mark", async () => {
    const base = await harness.layer([], "mkdir d && touch d/a");
    const marks = ["trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque"];
    const set = marks.map((name) => `setfattr -n ${name} -v y d 2> /dev/null || :`).join("\n");
    const top = await harness.layer([base], `${set}\nmkdir new`);
    expect(await archived(top)).toEqual(["new/"]);
    expect(await names([base, top])).toEqual(["d", "d/a", "new"]);
  });

  it("can't be set by an archive", async () => {
    const value = Buffer.from("y");
    const xattrs = new Map(["trusted", "user"].map((kind) => [`${kind}.ashlar.whiteout`, value]));
    const archive = Buffer.concat([
      encodeHeader({ name: "f", type: "file", mode: 0, size: 0, xattrs }),
      END_OF_ARCHIVE,
    ]);
    const blob = harness.file("forged.tar");
    fs.writeFileSync(blob, archive);
    const layer = harness.newLayer();
    const fixups = await harness.run("unpackLayer", { blob, layer, diffId: digestOf(archive) });
    await harness.run("settleLayers", { base: [], layers: [{ layer, fixups }] });
    expect(await harness.run("rawFiles", { layer })).toEqual({ f: { type: "-", xattrs: [] } });
    expect(await names([layer])).toEqual(["f"]);
  });

  it("is what an archive says it is, over the layers below", async () => {
    const base = await harness.layer([], "mkdir d && touch d/a d/b f");
    const entries = [".wh.f", ".wh.nothing", "d/.wh..wh..opq", "d/c"];
    const archive = Buffer.concat([
      ...entries.map((name) => encodeHeader({ name, type: "file", mode: 0o644, size: 0 })),
      END_OF_ARCHIVE,
    ]);
    const blob = harness.file("image.tar");
    fs.writeFileSync(blob, archive);
    const layer = harness.newLayer();
    const fixups = await harness.run("unpackLayer", { blob, layer, diffId: digestOf(archive) });
    await harness.run("settleLayers", { base: [base], layers: [{ layer, fixups }] });
    expect(await names([base, layer])).toEqual(["d", "d/c"]);
    expect(await archived(layer)).toEqual(["d/", "d/.wh.a", "d/.wh.b", "d/c", ".wh.f"]);
  });

  it("leaves the owner of the root as it was below, but not its mode", async () => {
    const base = await harness.layer([], "chown 5:6 . && chmod 700 .");
    const top = await harness.layer([base], "stat -c '%u:%g %a' . > seen");
    const seen = await harness.run("script", { tree: [base, top], text: "cat seen; stat -c '%u:%g %a' ." });
    expect(seen).toBe("5:6 755\n5:6 755\n");
  });
});

describe("a state directory whose whiteouts are marked files", () => {
  let root: string;
  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-whiteouts-"));
    const dirs = stateDirs(root);
    for (const directory of [dirs.layers, path.join(dirs.layers, "empty"), dirs.mounts]) fs.mkdirSync(directory);
    return () => fs.rmSync(root, { recursive: true, force: true });
  });

  /** What a data plane that would like to stack layers mounts for a tree of two. */
  async function mounted(): Promise<{ type: string; fellBack: boolean }> {
    let fellBack = false;
    const onFallback = () => {
      fellBack = true;
    };
    const options = { dirs: stateDirs(root), snapshotter: "overlay", workerFile: WORKER_FILE, threads: 1 } as const;
    await using plane = createDataPlane({ ...options, onFallback });
    for (const layer of [1, 2]) await plane.control("createLayer", { layer, parents: [] });
    const target = await plane.control("mount", { tree: [1, 2] });
    let output = "";
    const argv = ["/usr/bin/stat", "-f", "-c", "%T", target];
    const child = await plane.spawn({ argv, env: {}, cwd: "/", stdio: "pipe" }, (_, chunk) => {
      output += Buffer.from(chunk).toString();
    });
    await child.exit;
    await plane.control("unmount", { path: target });
    for (const layer of [1, 2]) await plane.run("removeLayers", { layers: [layer] });
    return { type: output.trim(), fellBack };
  }

  const sample = () => path.join(root, "layers/marked-whiteout");

  it("is never mounted as overlay again, wherever it is", async () => {
    expect(await mounted()).toEqual({ type: "overlayfs", fellBack: false });
    expect(fs.existsSync(sample())).toBe(false);
    fs.writeFileSync(sample(), "", { mode: 0 });
    expect(spawnSync("setfattr", ["-n", "trusted.ashlar.whiteout", "-v", "y", sample()]).status).toBe(0);
    expect(await mounted()).toMatchObject({ fellBack: true });
    expect((await mounted()).type).not.toBe("overlayfs");
  });

  it("is refused when its marks got lost", async () => {
    fs.writeFileSync(sample(), "", { mode: 0 });
    await expect(mounted()).rejects.toMatchObject({ code: "data-loss", hint: expect.stringContaining("attributes") });
  });
});

const WORKER_FILE = fileURLToPath(new URL("../../dist/worker.cjs", import.meta.url));
