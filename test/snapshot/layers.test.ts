import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LayerId, Tree } from "../../src/snapshot/tree.js";
import { Harness } from "./harness.js";

/** `tar -tv` of a layer, without times: flags, owner, size or device, name. */
async function listing(harness: Harness, layer: LayerId): Promise<string[]> {
  const output = harness.file(`${layer}.tar`);
  await harness.run("exportLayer", { layer, compression: { kind: "none" }, output });
  const text = execFileSync("tar", ["--numeric-owner", "--full-time", "-tvf", output], { encoding: "utf8" });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/ +/g, " ").replace(/ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, ""));
}

describe.each(["overlay", "native", "native on overlay"] as const)(
  "a layer made with the %s snapshotter",
  (snapshotter) => {
    let harness: Harness;
    beforeAll(async () => {
      harness = await Harness.start(snapshotter);
    });
    afterAll(async () => {
      await harness[Symbol.asyncDispose]();
    });

    const names = async (parents: Tree, text: string) =>
      (await listing(harness, await harness.layer(parents, text))).map((line) => line.split(" ").slice(3).join(" "));

    it("holds files of every kind with modes and owners, but no sockets", async () => {
      const layer = await harness.layer(
        [],
        `mkdir d && chmod 1777 d && echo x > d/f && chown 1000:50 d/f && chmod 4750 d/f && ln d/f h && ln -s d/f l
       mkfifo p && mknod n c 1 3 && mknod b b 7 0 && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")'`,
      );
      expect(await listing(harness, layer)).toEqual([
        "brw-rw-rw- 0/0 7,0 b",
        "drwxrwxrwt 0/0 0 d/",
        "-rwsr-x--- 1000/50 2 d/f",
        "hrwsr-x--- 1000/50 0 h link to d/f",
        "lrwxrwxrwx 0/0 0 l -> d/f",
        "crw-rw-rw- 0/0 1,3 n",
        "prw-rw-rw- 0/0 0 p",
      ]);
    });

    it("without changes is the empty archive everybody knows", async () => {
      const base = await harness.layer([], "mkdir d && touch d/f");
      const layer = await harness.layer([base], "touch d/g && rm d/g");
      const output = harness.file("empty.tar");
      const { diffId } = await harness.run("exportLayer", { layer, compression: { kind: "none" }, output });
      expect(diffId).toBe("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
    });

    it("leaves out what was changed and put back", async () => {
      const base = await harness.layer(
        [],
        "mkdir d && echo one > d/f && echo two > d/g && touch -d '2001-02-03 04:05:06' d/f",
      );
      expect(
        await names(
          [base],
          "echo x > d/f && echo one > d/f && touch -d '2001-02-03 04:05:06' d/f && chmod 600 d/g && chmod 666 d/g",
        ),
      ).toEqual([]);
      expect(await names([base], "echo two > d/f && touch -d '2001-02-03 04:05:06' d/f")).toEqual(["d/", "d/f"]);
      expect(await names([base], "touch -d '2001-02-03 04:05:07' d/f")).toEqual(["d/", "d/f"]);
      expect(await names([base], "chmod 700 d")).toEqual(["d/"]);
    });

    it("hides what was removed, at every level of a directory made again", async () => {
      const base = await harness.layer(
        [],
        "mkdir -p d/a/b d/x && echo 1 > d/a/one && echo 2 > d/a/b/two && echo 3 > d/a/b/three && echo 4 > d/x/four && touch f",
      );
      expect(await names([base], "rm -r d && mkdir -p d/a/b && echo 2 > d/a/b/two")).toEqual([
        "d/",
        "d/a/",
        "d/a/b/",
        "d/a/b/.wh.three",
        "d/a/b/two",
        "d/a/.wh.one",
        "d/.wh.x",
      ]);
      expect(await names([base], "rm -r d f")).toEqual([".wh.d", ".wh.f"]);
      expect(await names([base], "rm -r d && touch d")).toEqual(["d"]);
      expect(await names([base], "mv d e")).toContain(".wh.d");
      expect(await names([base], "rm f && mkdir f && touch f/g")).toEqual(["f/", "f/g"]);
    });

    it("dates whiteouts 1970 and gives them no mode", async () => {
      const base = await harness.layer([], "touch f");
      const output = harness.file("whiteout.tar");
      await harness.run("exportLayer", {
        layer: await harness.layer([base], "rm f"),
        compression: { kind: "none" },
        output,
      });
      const text = execFileSync("tar", ["--utc", "--full-time", "-tvf", output], { encoding: "utf8" });
      expect(text).toMatch(/^---------- 0\/0 +0 1970-01-01 00:00:00 \.wh\.f\n$/);
    });

    it("lists the unchanged name of a file that got a new one as a link to the new one", async () => {
      const base = await harness.layer([], "mkdir d && echo a > d/a && echo z > d/z");
      expect(
        (await listing(harness, await harness.layer([base], "ln d/a d/b"))).map(
          (line) => line.slice(0, 1) + line.split(" 0/0 ")[1],
        ),
      ).toEqual(["d0 d/", "-2 d/b", "h0 d/a link to d/b"]);
      expect(
        (await listing(harness, await harness.layer([base], "ln d/z d/y"))).map(
          (line) => line.slice(0, 1) + line.split(" 0/0 ")[1],
        ),
      ).toEqual(["d0 d/", "-2 d/y", "h0 d/z link to d/y"]);
    });

    it("keeps attributes for later steps, and of them only capabilities for others", async () => {
      const base = await harness.layer([], "echo x > f && setcap cap_setuid=ep f && setfattr -n user.a -v b f");
      const top = await harness.layer([base], "touch -d 2011-01-01 f");
      const seen = await harness.run("look", { tree: [base, top] });
      expect(Object.keys(seen.get("f")?.xattrs ?? {})).toEqual(["security.capability", "user.a"]);
      const output = harness.file("caps.tar");
      const { diffId } = await harness.run("exportLayer", { layer: top, compression: { kind: "none" }, output });
      expect(fs.readFileSync(output, "latin1")).toContain("SCHILY.xattr.security.capability=\x01\0\0\x02\x80\0\0\0");
      expect(fs.readFileSync(output, "latin1")).not.toContain("user.a");
      const again = harness.newLayer();
      const fixups = await harness.run("unpackLayer", { blob: output, layer: again, diffId });
      await harness.run("settleLayers", { base: [], layers: [{ layer: again, fixups }] });
      expect((await harness.run("look", { tree: [again] })).get("f")?.xattrs).toEqual({
        "security.capability": "0100000280000000000000000000000000000000",
      });
    });

    it("is counted once whatever its links, and has times no later than the epoch that is asked for", async () => {
      const layer = harness.newLayer();
      await harness.run("createLayer", { layer, parents: [] });
      await harness.run("script", {
        tree: [],
        upper: layer,
        text: "head -c 40960 /dev/zero | tr '\\0' x > f; ln f g; touch -d 1999-01-01T00:00:00Z old; ln -s f l",
      });
      const { sizeBytes, entries } = await harness.run("commitLayer", { layer, parents: [] });
      expect(entries).toBe(4);
      expect(sizeBytes).toBe(40_960);
      const output = harness.file("epoch.tar");
      await harness.run("exportLayer", { layer, compression: { kind: "none" }, output, epochSeconds: 1_400_000_000 });
      const text = execFileSync("tar", ["--utc", "--full-time", "-tvf", output], { encoding: "utf8" });
      expect(text.match(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g)).toEqual([
        "2014-05-13 16:53:20",
        "2014-05-13 16:53:20",
        "2014-05-13 16:53:20",
        "1999-01-01 00:00:00",
      ]);
    });

    it("keeps a sparse file sparse on disk and writes it whole", async () => {
      const base = await harness.layer([], "truncate -s 30000000 s && printf end >> s");
      const layer = await harness.layer([base], "chmod 600 s");
      const { sizeBytes } = await harness.run("commitLayer", { layer, parents: [base] });
      expect(sizeBytes).toBeLessThan(1_000_000);
      expect((await listing(harness, layer))[0]).toContain(" 30000003 s");
    });

    it("is committed once more without harm", async () => {
      const base = await harness.layer([], "mkdir -p d/e && touch d/e/f d/g");
      const layer = await harness.layer([base], "rm -r d && mkdir d && touch d/new");
      const before = await listing(harness, layer);
      await harness.run("commitLayer", { layer, parents: [base] });
      expect(await listing(harness, layer)).toEqual(before);
    });
  },
);

describe("a compressed layer", () => {
  it("is one plain gzip member, of the same bytes on any number of threads", async () => {
    await using harness = await Harness.start("overlay");
    const layer = await harness.layer(
      [],
      "for i in 1 2 3 4 5; do seq 1 200000 > f$i; done; head -c 3000000 /dev/urandom > r",
    );
    const output = harness.file("layer.tar.gz");
    const first = await harness.run("exportLayer", { layer, compression: { kind: "gzip", level: 6 }, output });
    execFileSync("gzip", ["-t", output]);
    const plain = harness.file("layer.tar");
    const uncompressed = await harness.run("exportLayer", { layer, compression: { kind: "none" }, output: plain });
    expect(uncompressed.diffId).toBe(first.diffId);
    expect(uncompressed.digest).toBe(first.diffId);
    expect(execFileSync("gzip", ["-dc", output], { maxBuffer: 1 << 28 }).equals(fs.readFileSync(plain))).toBe(true);
    expect(first.sizeBytes).toBe(fs.statSync(output).size);
    expect(execFileSync("sha256sum", [output], { encoding: "utf8" })).toContain(first.digest.slice(7));
    const pinned = execFileSync("taskset", ["-c", "0", process.execPath, "-e", RECOMPRESS, plain], {
      env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
      encoding: "utf8",
    });
    expect(pinned).toBe(first.digest.slice(7));
    for (const level of [0, 1, 9]) {
      await harness.run("exportLayer", { layer, compression: { kind: "gzip", level }, output });
      execFileSync("gzip", ["-t", output]);
    }
  });
});

/** The format again, written down independently: 1 MiB blocks, each with the 32 KiB before it as dictionary, sync flushed. */
const RECOMPRESS = `
const zlib = require("zlib"), fs = require("fs"), hash = require("crypto").createHash("sha256");
const data = fs.readFileSync(process.argv[1]), MIB = 1 << 20;
hash.update(Buffer.from("1f8b08000000000000ff", "hex"));
for (let at = 0; at < data.length; at += MIB) {
  const dictionary = at === 0 ? {} : { dictionary: data.subarray(at - 32768, at) };
  hash.update(zlib.deflateRawSync(data.subarray(at, at + MIB), { level: 6, finishFlush: zlib.constants.Z_SYNC_FLUSH, ...dictionary }));
}
const trailer = Buffer.alloc(8);
trailer.writeUInt32LE(zlib.crc32(data), 0);
trailer.writeUInt32LE(data.length, 4);
hash.update(Buffer.from([3, 0])).update(trailer);
process.stdout.write(hash.digest("hex"));
`;
