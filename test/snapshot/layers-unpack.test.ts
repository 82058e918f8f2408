import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import type { LayerId, Tree } from "../../src/snapshot/tree.js";
import { END_OF_ARCHIVE, encodeHeader, paddingOf, type TarHeader } from "../../src/tar/index.js";
import { Harness } from "./harness.js";

type Entry = Partial<TarHeader> & { readonly name: string; readonly text?: string };

const directory = (name: string, more: Partial<TarHeader> = {}): Entry => ({
  name,
  type: "directory",
  mode: 0o755,
  ...more,
});
const file = (name: string, text = "", more: Partial<TarHeader> = {}): Entry => ({ name, text, ...more });
const symlink = (name: string, linkName: string): Entry => ({ name, type: "symlink", mode: 0o777, linkName });
const hardLink = (name: string, linkName: string): Entry => ({ name, type: "link", linkName });

function archiveOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ text = "", ...header }) => [
    encodeHeader({ type: "file", mode: 0o644, ...header, size: text.length }),
    Buffer.from(text),
    Buffer.alloc(paddingOf(text.length)),
  ]);
  return Buffer.concat([...blocks, END_OF_ARCHIVE]);
}

let harness: Harness;
let outside: string;
beforeAll(async () => {
  harness = await Harness.start("overlay");
  outside = path.join(harness.dirs.root, "outside");
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, "secret"), "secret");
});
afterAll(async () => {
  expect(fs.readdirSync(outside)).toEqual(["secret"]);
  expect(fs.readFileSync(path.join(outside, "secret"), "utf8")).toBe("secret");
  expect(fs.statSync(path.join(outside, "secret")).nlink).toBe(1);
  await harness[Symbol.asyncDispose]();
});

async function unpackBytes(blob: Buffer, archive: Buffer, base: Tree = []): Promise<LayerId> {
  const layer = harness.newLayer();
  const output = harness.file(`${layer}.blob`);
  fs.writeFileSync(output, blob);
  const fixups = await harness.run("unpackLayer", { blob: output, layer, diffId: digestOf(archive) });
  await harness.run("settleLayers", { base, layers: [{ layer, fixups }] });
  return layer;
}

const unpack = (entries: readonly Entry[], base: Tree = []) =>
  unpackBytes(archiveOf(entries), archiveOf(entries), base);

/** The names of a mounted tree; links with their targets, hard links with the first name. */
async function names(tree: Tree): Promise<string[]> {
  const seen = await harness.run("look", { tree });
  return [...seen].map(([name, { kind, link, same }]) =>
    link !== undefined
      ? `${name} -> ${link}`
      : same !== undefined
        ? `${name} = ${same}`
        : kind === "directory"
          ? `${name}/`
          : name,
  );
}

const contentOf = async (tree: Tree, name: string) => (await harness.run("look", { tree })).get(name)?.content;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

describe("unpacking a layer", () => {
  it("takes plain, gzip and zstd archives, and several gzip members in a row", async () => {
    const archive = archiveOf([directory("d/"), file("d/f", "content")]);
    const zstd = execFileSync("zstd", ["-c"], { input: archive });
    const members = Buffer.concat([zlib.gzipSync(archive.subarray(0, 700)), zlib.gzipSync(archive.subarray(700))]);
    for (const blob of [archive, zlib.gzipSync(archive), members, zstd]) {
      const layer = await unpackBytes(blob, archive);
      expect(await names([layer])).toEqual(["d/", "d/f"]);
      expect(await contentOf([layer], "d/f")).toBe(sha256("content"));
    }
  });

  it("makes holes of the zeros of a sparse file, also at its end, and says of content what it was", async () => {
    const zeros = "\0".repeat(2_000_000);
    const text = `${zeros}middle${zeros}`;
    const archive = archiveOf([file("s", text), file("small", "\0\0\0")]);
    for (const blob of [archive, zlib.gzipSync(archive)]) {
      const layer = await unpackBytes(blob, archive);
      expect(await contentOf([layer], "s")).toBe(sha256(text));
      expect(await contentOf([layer], "small")).toBe(sha256("\0\0\0"));
      const { size, blocks } = fs.statSync(path.join(harness.dirs.layers, String(layer), "fs/s"));
      expect([size, blocks * 512 < 300_000]).toEqual([4_000_006, true]);
    }
  });

  it("refuses an archive that is not the expected one, cut off or corrupt", async () => {
    const archive = archiveOf([file("f", "content")]);
    const other = archiveOf([file("f", "Content")]);
    await expect(unpackBytes(archive, other)).rejects.toMatchObject({ code: "data-loss" });
    await expect(unpackBytes(archive.subarray(0, 700), archive.subarray(0, 700))).rejects.toMatchObject({
      code: "invalid",
    });
    const packed = zlib.gzipSync(archive);
    await expect(unpackBytes(packed.subarray(0, 40), archive)).rejects.toMatchObject({ code: "invalid" });
    packed[20] = (packed[20] ?? 0) ^ 0xff;
    await expect(unpackBytes(packed, archive)).rejects.toMatchObject({ code: "invalid" });
    const zstd = execFileSync("zstd", ["-c"], { input: archive });
    await expect(unpackBytes(zstd.subarray(0, 30), archive)).rejects.toMatchObject({ code: "invalid" });
  });

  it("keeps owners, modes, times, devices, attributes and links", async () => {
    const layer = await unpack([
      directory("d/", { mode: 0o1777, uid: 5, gid: 3_000_000, mtimeNs: 10n ** 18n }),
      file("d/f", "x", {
        mode: 0o4755,
        uid: 1000,
        mtimeNs: 123_456_789_000n,
        xattrs: new Map([
          ["user.a", Buffer.of(0, 128)],
          ["trusted.overlay.opaque", Buffer.from("y")],
        ]),
      }),
      hardLink("d/h", "d/f"),
      symlink("d/l", "f"),
      { name: "n", type: "char", mode: 0o666, device: { major: 1, minor: 3 } },
      { name: "p", type: "fifo", mode: 0o600, mtimeNs: -(10n ** 12n) },
    ]);
    const seen = await harness.run("look", { tree: [layer] });
    expect(seen.get("d")).toMatchObject({ mode: 0o1777, owner: "5:3000000" });
    expect(seen.get("d/f")).toMatchObject({
      mode: 0o4755,
      owner: "1000:0",
      mtimeNs: "123456789000",
      xattrs: { "user.a": "0080" },
    });
    expect(seen.get("d/f")?.xattrs).toEqual({ "user.a": "0080" });
    expect(seen.get("d/h")).toMatchObject({ same: "d/f" });
    expect(seen.get("n")).toMatchObject({ kind: "char", rdev: 259 });
    expect(seen.get("p")).toMatchObject({ kind: "fifo", mtimeNs: "-1000000000000" });
    expect(fs.statSync(path.join(harness.layerDirectory(layer), "d"), { bigint: true }).mtimeNs).toBe(10n ** 18n);
  });

  it("takes the last of several entries of a name, and merges directories", async () => {
    const layer = await unpack([
      file("f", "one"),
      file("f", "two"),
      directory("d/"),
      file("d/x"),
      directory("d/", { mode: 0o700 }),
      file("e", ""),
      directory("e/"),
      directory("g/"),
      file("g/x"),
      file("g", "file"),
    ]);
    expect(await names([layer])).toEqual(["d/", "d/x", "e/", "f", "g"]);
    expect(await contentOf([layer], "f")).toBe(sha256("two"));
  });
});

describe("whiteouts in a layer", () => {
  const base = () => harness.layer([], "mkdir -p d/sub e && touch d/a d/b d/sub/x e/y f");

  it("hide names of lower layers alone", async () => {
    const lower = await base();
    const layer = await unpack([file(".wh.f"), file("d/.wh.a"), file("e/.wh.nothing"), file("d/c")], [lower]);
    expect(await names([lower, layer])).toEqual(["d/", "d/b", "d/c", "d/sub/", "d/sub/x", "e/", "e/y"]);
    expect(fs.existsSync(path.join(harness.layerDirectory(layer), "e/nothing"))).toBe(false);
  });

  it("hide everything where a directory is opaque, whatever the order", async () => {
    const lower = await base();
    const first = await unpack(
      [directory("d/"), file("d/.wh..wh..opq"), directory("d/sub/"), file("d/sub/new")],
      [lower],
    );
    const last = await unpack(
      [directory("d/"), directory("d/sub/"), file("d/sub/new"), file("d/.wh..wh..opq")],
      [lower],
    );
    for (const layer of [first, last]) {
      expect(await names([lower, layer])).toEqual(["d/", "d/sub/", "d/sub/new", "e/", "e/y", "f"]);
    }
    expect(await names([lower, await unpack([file(".wh..wh..opq"), file("only")], [lower])])).toEqual(["only"]);
  });

  it("make a directory of the same name in the same layer a new one", async () => {
    const lower = await base();
    const layer = await unpack([file(".wh.d"), directory("d/"), file("d/new")], [lower]);
    expect(await names([lower, layer])).toEqual(["d/", "d/new", "e/", "e/y", "f"]);
    const implied = await unpack([file(".wh.d"), file("d/new")], [lower]);
    expect(await names([lower, implied])).toEqual(["d/", "d/new", "e/", "e/y", "f"]);
  });

  it("of AUFS's own are left out, and names like them are no way out", async () => {
    const lower = await base();
    const layer = await unpack(
      [
        file(".wh..wh.plnk"),
        directory(".wh..wh.orph/"),
        file(".wh..wh.orph/x"),
        file("d/.wh..."),
        file("d/.wh.."),
        file(".wh."),
      ],
      [lower],
    );
    expect(await names([lower, layer])).toEqual(await names([lower]));
  });
});

describe("a layer that leans on lower ones", () => {
  it("gets the metadata of directories it only implies", async () => {
    const lower = await harness.layer([], "mkdir -p d/e && chmod 1777 d && chown 7:8 d/e && chmod 700 d/e");
    const layer = await unpack([file("d/e/f"), file("new/f")], [lower]);
    const seen = await harness.run("look", { tree: [lower, layer] });
    expect(seen.get("d")?.mode).toBe(0o1777);
    expect(seen.get("d/e")).toMatchObject({ mode: 0o700, owner: "7:8" });
    expect(seen.get("new")).toMatchObject({ mode: 0o755, owner: "0:0" });
  });

  it("follows the links of lower layers where it only implies a directory", async () => {
    const lower = await harness.layer(
      [],
      "mkdir -p usr/lib/sub && chmod 711 usr && ln -s usr/lib lib && ln -s ../../usr/lib usr/share && ln -s nowhere dangling && touch usr/lib/old && ln -s /lib/sub chain",
    );
    const layer = await unpack(
      [file("lib/a"), file("lib/sub/b"), file("usr/share/c"), file("lib/.wh.old"), file("chain/d"), file("dangling/e")],
      [lower],
    );
    expect(await names([lower, layer])).toEqual([
      "chain -> /lib/sub",
      "dangling -> nowhere",
      "lib -> usr/lib",
      "nowhere/",
      "nowhere/e",
      "usr/",
      "usr/lib/",
      "usr/lib/a",
      "usr/lib/c",
      "usr/lib/sub/",
      "usr/lib/sub/b",
      "usr/lib/sub/d",
      "usr/share -> ../../usr/lib",
    ]);
    expect((await harness.run("look", { tree: [lower, layer] })).get("usr")?.mode).toBe(0o711);
  });

  it("replaces a link of a lower layer where it says itself that it is a directory", async () => {
    const lower = await harness.layer([], "mkdir -p usr/lib && ln -s usr/lib lib");
    const layer = await unpack([directory("lib/"), file("lib/a")], [lower]);
    expect(await names([lower, layer])).toEqual(["lib/", "lib/a", "usr/", "usr/lib/"]);
  });

  it("may link to files of lower layers", async () => {
    const lower = await harness.layer([], "mkdir -m 700 d && echo x > d/f && chmod 640 d/f && touch g");
    const layer = await unpack([hardLink("h", "d/f"), hardLink("i", "g"), file(".wh.g")], [lower]);
    expect(await names([lower, layer])).toEqual(["d/", "d/f", "h = d/f", "i"]);
    expect((await harness.run("look", { tree: [lower, layer] })).get("d")?.mode).toBe(0o700);
    await expect(unpack([hardLink("h", "missing")], [lower])).rejects.toMatchObject({ code: "invalid" });
    await expect(unpack([hardLink("h", "d")], [lower])).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("a hostile layer", () => {
  it("cannot write outside by name", async () => {
    const up = "../".repeat(20);
    const layer = await unpack([
      file(`${up}${outside.slice(1)}/a`),
      file(`${outside}/b`),
      file("x/../../../c"),
      file(".."),
      file("/"),
      directory("./"),
    ]);
    const inside = outside.slice(1);
    expect((await names([layer])).filter((name) => !name.endsWith("/"))).toEqual(
      ["c", `${inside}/a`, `${inside}/b`].sort(),
    );
  });

  it("cannot write outside through links of its own", async () => {
    const layer = await unpack([
      symlink("abs", outside),
      file("abs/a"),
      symlink("rel", `${"../".repeat(20)}${outside.slice(1)}`),
      file("rel/b"),
      symlink("file", `${outside}/secret`),
      file("file", "overwritten"),
      symlink("dir", outside),
      directory("dir/", { mode: 0o777 }),
      symlink("loop", "loop"),
    ]);
    expect((await names([layer])).filter((name) => !name.endsWith("/"))).toEqual(
      ["abs", "file", "rel", "loop", `${outside.slice(1)}/a`, `${outside.slice(1)}/b`]
        .map(
          (name) =>
            ({ abs: `abs -> ${outside}`, rel: `rel -> ${"../".repeat(20)}${outside.slice(1)}`, loop: "loop -> loop" })[
              name
            ] ?? name,
        )
        .sort(),
    );
    await expect(unpack([symlink("loop", "loop"), file("loop/x")])).rejects.toMatchObject({ code: "invalid" });
  });

  it("cannot link to or remove what is outside", async () => {
    await expect(unpack([hardLink("h", `${outside}/secret`)])).rejects.toMatchObject({ code: "invalid" });
    await expect(unpack([symlink("l", outside), hardLink("h", "l/secret")])).rejects.toMatchObject({ code: "invalid" });
    await unpack([symlink("l", outside), file("l/.wh.secret")]);
    await unpack([symlink("l", outside), file("l/.wh..wh..opq")]);
  });

  it("cannot send what is settled later through a link it put there meanwhile", async () => {
    const inside = outside.slice(1);
    const lower = await harness.layer(
      [],
      `mkdir -p ${inside} d/e && chmod 700 d/e && touch ${inside}/f d/e/f d/e/secret d/real`,
    );
    const swap = [directory(`${inside}/e/`), symlink("d", outside)];
    await unpack([file("d/e/x"), ...swap], [lower]);
    await unpack([file("d/e/.wh.secret"), ...swap], [lower]);
    await unpack([file("d/.wh.secret"), ...swap, file(`${inside}/.wh.secret`)], [lower]);
    await unpack([directory("d/e/"), file("d/e/.wh..wh..opq"), ...swap], [lower]);
    await unpack([hardLink("d/h", "d/real"), ...swap], [lower]);
    await expect(unpack([hardLink("h", "d/real"), ...swap], [lower])).rejects.toMatchObject({ code: "invalid" });
    expect(fs.readdirSync(outside)).toEqual(["secret"]);
  });

  it("cannot pass a device off as a whiteout, go too deep, or be too long in a name", async () => {
    await expect(unpack([{ name: "w", type: "char", mode: 0 }])).rejects.toMatchObject({ code: "invalid" });
    await expect(unpack([file("a/".repeat(3000))])).rejects.toMatchObject({ code: "invalid" });
    await expect(unpack([file("n".repeat(300))])).rejects.toMatchObject({ code: "invalid" });
    await expect(unpack([file("d"), file("d/f")])).rejects.toMatchObject({ code: "invalid" });
  });

  it("does not reach below a lower layer's links when it is settled", async () => {
    const lower = await harness.layer([], `ln -s ${outside} out && ln -s out/.. up`);
    const layer = await unpack([file("out/a"), file("up/b"), hardLink("c", "out/a")], [lower]);
    const found = await names([lower, layer]);
    expect(found).toContain(`${outside.slice(1)}/a = c`);
    expect(found).toContain(`${path.dirname(outside).slice(1)}/b`);
    expect(fs.readdirSync(outside)).toEqual(["secret"]);
  });
});
