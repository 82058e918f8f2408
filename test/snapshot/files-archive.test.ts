import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import type { Tree } from "../../src/snapshot/tree.js";
import { END_OF_ARCHIVE, encodeHeader, paddingOf, type TarHeader } from "../../src/tar/index.js";
import { Bench, copyAction } from "./file-harness.js";

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
});
afterAll(() => bench[Symbol.asyncDispose]());

interface Item extends Partial<TarHeader> {
  readonly name: string;
  readonly text?: string;
}

/** Text that does not compress. */
const NOISE = Array.from({ length: 400 }, (_, i) => digestOf(String(i))).join("");
const MTIME_NS = 1_400_000_000_000_000_000n;

function archive(...items: readonly Item[]): Buffer {
  const parts = items.flatMap(({ text = "", ...item }) => {
    const size = Buffer.byteLength(text);
    const header = { type: "file", mode: 0o644, mtimeNs: MTIME_NS, size, ...item } as const;
    return [encodeHeader(header), Buffer.from(text), Buffer.alloc(paddingOf(size))];
  });
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

const file = (name: string, text: string, more: Partial<TarHeader> = {}): Item => ({ name, text, ...more });
const directory = (name: string, mode = 0o755): Item => ({ name, type: "directory", mode });

async function add(
  bytes: Uint8Array,
  { image = [] as Tree, dest = "/x/", owner = undefined as number | undefined } = {},
) {
  const source = bench.directory();
  fs.writeFileSync(path.join(source, "a"), bytes);
  const chown = owner === undefined ? {} : { owner: { user: { kind: "id", id: owner } as const } };
  const action = copyAction("/a", dest, { attemptUnpack: true, ...chown });
  return bench.list(await bench.apply(image, { action, source: bench.scan(source) }));
}

describe("an archive that is added", () => {
  it("is unpacked with owners, modes and times, parents it does not name belonging to root", async () => {
    const bytes = archive(
      directory("d/", 0o711),
      file("d/f", "f", { uid: 7, gid: 8, mode: 0o4755 }),
      file("./deep/er/g", "g"),
    );
    expect(await add(bytes)).toEqual([
      "x dir 0755 0:0",
      "x/d dir 0711 0:0 @1400000000",
      'x/d/f file 4755 7:8 "f" @1400000000',
      "x/deep dir 0755 0:0",
      "x/deep/er dir 0755 0:0",
      'x/deep/er/g file 0644 0:0 "g" @1400000000',
    ]);
  });

  it("belongs to an owner that is given", async () => {
    expect(await add(archive(file("f", "f", { uid: 7, gid: 8 })), { owner: 9 })).toEqual([
      "x dir 0755 9:9",
      'x/f file 0644 9:9 "f" @1400000000',
    ]);
  });

  it("replaces what is in its way, merges directories, and takes a whiteout's name as a name", async () => {
    const image = [
      await bench.layer("mkdir -p x/a x/d; echo > x/a/keep; echo > x/b; echo > x/d/keep; ln -s /etc x/l; echo > x/w"),
    ];
    const bytes = archive(
      file("a", "a"),
      directory("b/"),
      file("b/in", "b"),
      directory("d/", 0o711),
      file("l", "l"),
      file(".wh.w", ""),
    );
    const shown = await add(bytes, { image });
    expect(shown).toEqual([
      "x dir 0755 0:0",
      'x/.wh.w file 0644 0:0 "" @1400000000',
      'x/a file 0644 0:0 "a" @1400000000',
      "x/b dir 0755 0:0 @1400000000",
      'x/b/in file 0644 0:0 "b" @1400000000',
      "x/d dir 0711 0:0 @1400000000",
      'x/l file 0644 0:0 "l" @1400000000',
    ]);
  });

  it("keeps links and special files", async () => {
    const bytes = archive(
      file("f", "f"),
      { name: "hard", type: "link", linkName: "/f" },
      { name: "soft", type: "symlink", linkName: "../../up", mode: 0o777 },
      { name: "pipe", type: "fifo", mode: 0o640 },
      { name: "null", type: "char", device: { major: 1, minor: 3 } },
    );
    expect(await add(bytes)).toEqual([
      "x dir 0755 0:0",
      'x/f file 0644 0:0 "f" @1400000000',
      'x/hard file 0644 0:0 "f" @1400000000 =x/f',
      "x/null char 0644 0:0 259 @1400000000",
      "x/pipe fifo 0640 0:0 @1400000000",
      "x/soft link 0777 0:0 -> ../../up @1400000000",
    ]);
  });

  it("lands behind a link to a directory, and times out of range become 1970", async () => {
    const image = [await bench.layer("mkdir real; ln -s /real lnk")];
    const bytes = archive(file("f", "f", { mtimeNs: -5_000_000_000n }));
    expect(await add(bytes, { image, dest: "/lnk" })).toEqual(["real dir 0755 0:0", 'real/f file 0644 0:0 "f" @0']);
  });

  it.each(["gzip -n", "bzip2", "xz", "zstd -q -c -"])(
    "is known by its content when compressed with %s",
    async (program) => {
      const input = archive(file("f", "x".repeat(100)), directory("d/"));
      const [name = "", ...args] = program.split(" ");
      const bytes = execFileSync(name, args.length > 0 && name === "zstd" ? args : [...args, "-c"], { input });
      expect(await add(bytes)).toEqual([
        "x dir 0755 0:0",
        "x/d dir 0755 0:0 @1400000000",
        `x/f file 0644 0:0 "${"x".repeat(100)}" @1400000000`,
      ]);
    },
  );

  it.each<readonly [string, Uint8Array]>([
    ["no archive", Buffer.from("text\n")],
    ["empty", Buffer.alloc(0)],
    ["zeros", Buffer.alloc(1024)],
    ["gzip of no archive", execFileSync("gzip", ["-c"], { input: "text" })],
    ...["gzip", "bzip2", "xz", "zstd"].map(
      (program) => [`${program} of zeros`, execFileSync(program, ["-c"], { input: Buffer.alloc(10_240) })] as const,
    ),
    ["damaged xz", Buffer.from("fd377a585a00ffff", "hex")],
  ])("is copied as it is where it is %s", async (_, bytes) => {
    expect((await add(bytes)).map((line) => line.slice(0, 17))).toEqual(["x dir 0755 0:0", "x/a file 0644 0:0"]);
  });

  it.each<readonly [string, Uint8Array, RegExp]>([
    ["breaks off", archive(file("f", "x".repeat(5000))).subarray(0, 3000), /cut off|EOF/],
    ["is damaged inside", execFileSync("gzip", ["-c"], { input: archive(file("f", NOISE)) }).subarray(0, 5000), /./],
    [
      "names a missing file in a hard link",
      archive({ name: "g", type: "link", linkName: "../etc/passwd" }),
      /^link \/etc\/passwd \/g: no such file or directory$/,
    ],
    ["has a link for its root", archive({ name: "/", type: "symlink", linkName: "x" }), /root/],
  ])("is refused where it %s", async (_, bytes, words) => {
    await expect(add(bytes)).rejects.toThrow(words);
  });

  it("is refused where a file is in the destination's place", async () => {
    const image = [await bench.layer("echo > x")];
    await expect(add(archive(file("f", "f")), { image, dest: "/x" })).rejects.toThrow("mkdir /x: not a directory");
  });
});

describe("a hostile archive", () => {
  it.each<readonly [string, readonly Item[]]>([
    ["climbs with dot-dots", [file("../../../../../../tmp/ashlar-escape", "x")]],
    ["has absolute names", [file("/tmp/ashlar-escape", "x")]],
    [
      "writes through a link that it made",
      [{ name: "tmp", type: "symlink", linkName: "/" }, file("tmp/ashlar-escape", "x")],
    ],
    [
      "writes through a link with dot-dots",
      [{ name: "l", type: "symlink", linkName: "../../../../../../../tmp" }, file("l/ashlar-escape", "x")],
    ],
  ])("that %s stays in its destination", async (_, items) => {
    await add(archive(...items)).catch(() => {});
    expect(fs.existsSync("/tmp/ashlar-escape")).toBe(false);
  });

  it("does not write into the image through a link below its destination", async () => {
    const image = [await bench.layer("mkdir x etc; printf root > etc/passwd; ln -s /etc x/l")];
    await expect(add(archive(file("l/passwd", "evil")), { image })).rejects.toThrow();
  });

  it("does not read outside through a hard link to a link", async () => {
    const items = [
      { name: "s", type: "symlink", linkName: "/etc/passwd" },
      { name: "h", type: "link", linkName: "s" },
    ] as const;
    expect(await add(archive(...items))).toEqual([
      "x dir 0755 0:0",
      "x/h link 0777 0:0 -> /etc/passwd @1400000000",
      "x/s link 0777 0:0 -> /etc/passwd @1400000000",
    ]);
  });
});
