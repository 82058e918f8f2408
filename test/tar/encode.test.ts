import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import zlib from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  completeHeader,
  createTarParser,
  END_OF_ARCHIVE,
  encodeHeader,
  paddingOf,
  type TarEntry,
  type TarHeader,
} from "../../src/tar/index.js";

const file: TarHeader = { name: "a", type: "file", mode: 0o644 };

interface Read {
  entry: TarEntry;
  content: Buffer;
}

/** Parses an archive pushed in pieces of CHUNK bytes. */
function read(archive: Uint8Array, chunk = archive.length): Read[] {
  const entries: Read[] = [];
  const parser = createTarParser({
    entry: (entry) => entries.push({ entry, content: Buffer.alloc(0) }),
    body: (bytes) => append(Buffer.from(bytes)),
    hole: (bytes) => append(Buffer.alloc(bytes)),
    entryEnd: () => {},
  });
  const append = (bytes: Buffer) => {
    const last = entries.at(-1);
    if (last) last.content = Buffer.concat([last.content, bytes]);
  };
  for (let at = 0; at < archive.length; at += chunk) parser.write(archive.subarray(at, at + chunk));
  parser.end();
  return entries;
}

function archiveOf(entries: readonly { header: TarHeader; content?: Buffer }[]): Buffer {
  return Buffer.concat([
    ...entries.flatMap(({ header, content = Buffer.alloc(0) }) => [
      encodeHeader({ ...header, size: content.length }),
      content,
      Buffer.alloc(paddingOf(content.length)),
    ]),
    END_OF_ARCHIVE,
  ]);
}

const latin1 = (text: string) => Buffer.from(text, "utf8").toString("latin1");

describe("the header of an entry", () => {
  it("is one ustar block where everything fits", () => {
    const block = encodeHeader({
      ...file,
      name: "dir/file",
      uid: 1000,
      gid: 50,
      size: 5,
      mtimeNs: 1_500_000_000_000_000_000n,
    });
    expect(block.length).toBe(512);
    const text = Buffer.from(block).toString("latin1");
    expect(text.slice(0, 9)).toBe("dir/file\0");
    expect(text.slice(100, 148)).toBe("0000644\x000001750\x000000062\x0000000000005\x0013132027400\x00");
    expect(text.slice(148, 157)).toMatch(/^0[0-7]{5}\0 0$/);
    expect(text.slice(257, 265)).toBe("ustar\x0000");
    expect(text.slice(329, 345)).toBe("0000000\x000000000\x00");
  });

  it("splits a long ASCII name at a slash and needs no PAX for it", () => {
    const name = `${"d".repeat(90)}/${"e".repeat(60)}/${"f".repeat(90)}`;
    const block = encodeHeader({ ...file, name });
    expect(block.length).toBe(512);
    expect(Buffer.from(block).toString("latin1", 345, 345 + 151)).toBe(`${"d".repeat(90)}/${"e".repeat(60)}`);
  });

  it("writes only the records that are needed, sorted, into an entry named after it", () => {
    const name = `${latin1("ü")}/${"n".repeat(120)}`;
    const blocks = Buffer.from(
      encodeHeader({ ...file, name, uid: 3_000_000, mtimeNs: -1n, xattrs: new Map([["user.b", Buffer.of(0x80)]]) }),
    );
    expect(blocks.toString("latin1", 0, 100)).toBe(`/PaxHeaders.0/${"n".repeat(86)}`);
    expect(blocks.toString("latin1", 156, 157)).toBe("x");
    const size = Number.parseInt(blocks.toString("latin1", 124, 135), 8);
    expect(blocks.toString("latin1", 512, 512 + size)).toBe(
      `25 SCHILY.xattr.user.b=\x80\n22 mtime=-0.000000001\n133 path=${name}\n15 uid=3000000\n`,
    );
    const main = blocks.subarray(1024);
    expect(main.toString("latin1", 0, 100)).toBe(`/${"n".repeat(99)}`);
    expect(main.toString("latin1", 108, 116)).toBe("0000000\0");
  });

  it("has a path record where something else than the name asks for PAX, even if the name could be split", () => {
    const name = `${"d".repeat(90)}/${"f".repeat(90)}`;
    const blocks = Buffer.from(encodeHeader({ ...file, name, uid: 3_000_000 }));
    expect(blocks.toString("latin1", 512)).toContain(` path=${name}\n`);
    expect(blocks.toString("latin1", blocks.length - 512, blocks.length - 412)).toBe(name.slice(0, 100));
  });

  it("drops the slash a cut name of a file would end in", () => {
    const name = `${"d".repeat(99)}/${"f".repeat(200)}`;
    const main = Buffer.from(encodeHeader({ ...file, name })).subarray(-512);
    expect(main.toString("latin1", 0, 100)).toBe(`${"d".repeat(99)}\0`);
  });

  it("refuses what no form can hold", () => {
    for (const header of [
      { name: "a\0b" },
      { mode: 0o1000_0000 },
      { xattrs: new Map([["a=b", Buffer.of(1)]]) },
      { uid: -1 },
    ]) {
      expect(() => encodeHeader({ ...file, ...header })).toThrow(expect.objectContaining({ code: "invalid" }));
    }
  });

  it("is read back as it was written, whatever the bytes and in chunks of any size", () => {
    const name = fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
      minLength: 1,
      maxLength: 300,
    });
    const headers = fc.record({
      name: name.map((text) => (text.endsWith("/") ? `${text}x` : text)),
      type: fc.constantFrom("file", "link", "symlink", "char", "block", "directory", "fifo"),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.integer({ min: 0, max: 2 ** 32 }),
      gid: fc.integer({ min: 0, max: 2 ** 32 }),
      mtimeNs: fc.bigInt({ min: -(10n ** 19n), max: 10n ** 20n }),
      linkName: fc.oneof(fc.constant(""), name),
      userName: fc.oneof(fc.constant(""), name),
      device: fc.record({ major: fc.integer({ min: 0, max: 4095 }), minor: fc.integer({ min: 0, max: 2 ** 20 }) }),
      xattrs: fc
        .array(
          fc.tuple(
            name.map((text) => `user.${text.replace(/[=]/g, "")}`),
            fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
          ),
        )
        .map((pairs) => new Map(pairs)),
    });
    const content = fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(headers, content), { maxLength: 4 }),
        fc.integer({ min: 1, max: 2000 }),
        (entries, chunk) => {
          const given = entries.map(([header, bytes]) => ({
            header: header as TarHeader,
            content: header.type === "file" ? bytes : Buffer.alloc(0),
          }));
          const expected = given.map(({ header, content }) => ({
            entry: completeHeader({ ...header, size: content.length }),
            content,
          }));
          expect(read(archiveOf(given), chunk)).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("archives of ours and other programs", () => {
  let dir: string;
  beforeAll(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "tar-"));
  });
  afterAll(() => fs.rmSync(dir, { recursive: true }));

  const long = `${"long".repeat(40)}/${"name".repeat(50)}`;
  const entries: { header: TarHeader; content?: Buffer }[] = [
    { header: { name: "dir/", type: "directory", mode: 0o1777 } },
    {
      header: { ...file, name: "dir/plain", uid: 3_000_000, gid: 7, mtimeNs: 1_500_000_000_123_456_789n },
      content: Buffer.from("plain"),
    },
    {
      header: { ...file, name: latin1(`dir/ü-${long}`), mode: 0o4755, mtimeNs: 10n ** 18n },
      content: Buffer.alloc(1000, 1),
    },
    { header: { name: "dir/sym", type: "symlink", mode: 0o777, linkName: latin1(long) } },
    { header: { name: "dir/hard", type: "link", mode: 0o644, linkName: "dir/plain" } },
    { header: { name: "dir/null", type: "char", mode: 0o666, device: { major: 1, minor: 3 } } },
    { header: { name: "dir/loop", type: "block", mode: 0o660, device: { major: 259, minor: 300 } } },
    { header: { name: "dir/pipe", type: "fifo", mode: 0o600 } },
  ];

  it("are listed alike by python's tarfile", () => {
    const archive = path.join(dir, "ours.tar");
    fs.writeFileSync(archive, archiveOf(entries));
    const script = `
import tarfile, json, sys
with tarfile.open(sys.argv[1]) as t:
  print(json.dumps([[m.name, m.type.decode(), m.mode, m.uid, m.gid, m.size, m.mtime, m.linkname, m.devmajor, m.devminor] for m in t]))`;
    const listed = JSON.parse(execFileSync("python3", ["-c", script, archive], { encoding: "utf8" }));
    const flags = { file: "0", link: "1", symlink: "2", char: "3", block: "4", directory: "5", fifo: "6" };
    const utf8 = (text: string) => Buffer.from(text, "latin1").toString();
    expect(listed).toEqual(
      entries.map(({ header, content }) => {
        const full = completeHeader({ ...header, size: content?.length ?? 0 });
        const isDevice = full.type === "char" || full.type === "block";
        return [
          utf8(full.name.replace(/\/$/, "")),
          flags[full.type],
          full.mode,
          full.uid,
          full.gid,
          full.size,
          Number(full.mtimeNs) / 1e9,
          utf8(full.linkName),
          isDevice ? full.device.major : 0,
          isDevice ? full.device.minor : 0,
        ];
      }),
    );
  });

  it("are unpacked by GNU tar without a complaint", () => {
    const archive = path.join(dir, "gnu.tar");
    fs.writeFileSync(
      archive,
      archiveOf([
        ...entries,
        { header: { ...file, name: "x", xattrs: new Map([["user.odd", Buffer.of(0, 255, 10)]]) } },
      ]),
    );
    const out = path.join(dir, "gnu");
    fs.mkdirSync(out);
    const result = execFileSync("sh", ["-c", `tar --xattrs --xattrs-include='*' -xpf ${archive} -C ${out} 2>&1`], {
      encoding: "utf8",
    });
    expect(result).toBe("");
    expect(fs.lstatSync(path.join(out, "dir/plain"), { bigint: true }).mtimeNs).toBe(1_500_000_000_123_456_789n);
    expect(fs.statSync(path.join(out, "dir/plain")).uid).toBe(3_000_000);
    expect(fs.statSync(path.join(out, "dir/hard")).nlink).toBe(2);
    expect(fs.readlinkSync(path.join(out, "dir/sym"))).toBe(long);
    const value = execFileSync("getfattr", ["-n", "user.odd", "-e", "hex", path.join(out, "x")], { encoding: "utf8" });
    expect(value).toContain("0x00ff0a");
  });

  it("are byte for byte what Go's archive/tar makes of the same entries", () => {
    const layout = path.join(dir, "layout");
    const source = path.join(dir, "go");
    const script = `
      umoci init --layout ${layout} && umoci new --image ${layout}:t && mkdir -p ${source}/dir && cd ${source}
      n=$(printf 'n%.0s' $(seq 120)); d=$(printf 'd%.0s' $(seq 60))
      mkdir -p $n/$n $d/$d/$d && echo hi > $n/$n/f && touch $d/$d/$d/file && echo x > "ü-file" && ln -s "$n/ü" sym && ln "ü-file" hard
      mkfifo p && mknod c c 1 3 && mknod b b 259 70000 && chown 3000000:4000000 hard && touch -d 1960-01-01 dir
      setfattr -n user.bin -v 0x00800a3d $n/$n/f && setcap cap_setuid=ep $n/$n/f
      umoci insert --image ${layout}:t ${source} /inserted`;
    execFileSync("sh", ["-euc", script], { stdio: "pipe" });
    const json = (digest: string) =>
      JSON.parse(fs.readFileSync(path.join(layout, "blobs", digest.replace(":", "/")), "utf8"));
    const index = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8"));
    const { digest } = json(index.manifests[0].digest).layers[0];
    const packed = fs.readFileSync(path.join(layout, "blobs", digest.replace(":", "/")));
    const theirs = zlib.gunzipSync(packed);
    const ours = archiveOf(read(theirs).map(({ entry, content }) => ({ header: entry, content })));
    expect(theirs.length).toBeGreaterThan(10_000);
    expect(ours.subarray(0, theirs.length).equals(theirs)).toBe(true);
  });

  const formats = ["v7", "ustar", "oldgnu", "gnu", "posix"];
  it.each(formats)("of GNU tar in the format %s are read", (format) => {
    const source = path.join(dir, `from-${format}`);
    fs.mkdirSync(path.join(source, "sub"), { recursive: true });
    const name = format === "v7" ? "n".repeat(90) : format === "ustar" ? "n".repeat(95) : "n".repeat(200);
    fs.writeFileSync(path.join(source, "sub", name), "content");
    fs.symlinkSync("target", path.join(source, "link"));
    fs.utimesSync(path.join(source, "sub", name), 1e9, 1e9);
    if (format !== "v7" && format !== "ustar") fs.chownSync(path.join(source, "sub", name), 5_000_000, 6_000_000);
    const archive = execFileSync("tar", ["--sort=name", `--format=${format}`, "-cf", "-", "-C", source, "link", "sub"]);
    const list = read(archive, 700);
    expect(list.map(({ entry }) => entry.name)).toEqual(["link", "sub/", `sub/${name}`]);
    expect(list[0]?.entry).toMatchObject({ type: "symlink", linkName: "target" });
    expect(list[2]?.entry.mtimeNs).toBe(10n ** 18n);
    expect(list[2]?.content.toString()).toBe("content");
    expect(list[2]?.entry.uid).toBe(format === "v7" || format === "ustar" ? 0 : 5_000_000);
  });

  it.each([
    ["gnu", ""],
    ["posix", "0.0"],
    ["posix", "0.1"],
    ["posix", "1.0"],
  ])("hold sparse files (%s %s) that are expanded", (format, version) => {
    const source = path.join(dir, `sparse-${format}-${version}`);
    const fd = fs.openSync(source, "w");
    for (let i = 0; i < 40; i++) fs.writeSync(fd, `piece ${i}`, i * 65_536 + 65_536);
    fs.ftruncateSync(fd, 4_000_000);
    fs.closeSync(fd);
    const options = version === "" ? [] : [`--sparse-version=${version}`];
    const archive = execFileSync(
      "tar",
      [`--format=${format}`, "--sparse", ...options, "-cf", "-", "-C", dir, path.basename(source)],
      {
        maxBuffer: 1 << 28,
      },
    );
    expect(archive.length).toBeLessThan(1_000_000);
    for (const chunk of [513, archive.length]) {
      const [entry] = read(archive, chunk);
      expect(entry?.entry).toMatchObject({ name: path.basename(source), size: 4_000_000, type: "file" });
      expect(entry?.content.equals(fs.readFileSync(source))).toBe(true);
    }
  });
});

describe("a hostile or broken archive", () => {
  const good = archiveOf([
    { header: { ...file, name: "first" }, content: Buffer.from("x".repeat(600)) },
    { header: { ...file, name: "n".repeat(300) } },
  ]);

  it("is refused wherever it is cut off, except between entries", () => {
    const whole = [0, 512 + 1024, good.length - 1024, good.length - 512];
    for (let length = 0; length < good.length; length += 64) {
      if (whole.includes(length)) expect(() => read(good.subarray(0, length))).not.toThrow();
      else
        expect(() => read(good.subarray(0, length)), String(length)).toThrow(
          expect.objectContaining({ code: "invalid" }),
        );
    }
  });

  it("is refused with the offset and the name before it", () => {
    const bad = Buffer.from(good);
    bad[512 + 1024 + 200] = 7;
    expect(() => read(bad)).toThrow(/byte 2048.*"first".*checksum/);
  });

  it("is refused for a PAX header that is too large, malformed or followed by nothing", () => {
    const paxOf = (data: Buffer, size = data.length) => {
      const block = Buffer.from(encodeHeader({ ...file, size }));
      block.write("x", 156, "latin1");
      let sum = 0;
      for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
      block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
      return Buffer.concat([block, data, Buffer.alloc(paddingOf(data.length))]);
    };
    expect(() => read(paxOf(Buffer.alloc(0), 2 ** 31))).toThrow(/limit is 1048576/);
    for (const text of ["8 path=a\n", "x path=a\n", "999999 path=a\n", "6 a=b", "7 =abc\n", "11 path=\0a\n"]) {
      expect(() => read(Buffer.concat([paxOf(Buffer.from(text)), good])), text).toThrow(
        expect.objectContaining({ code: "invalid" }),
      );
    }
    expect(() => read(Buffer.concat([paxOf(Buffer.from("9 path=a\n")), END_OF_ARCHIVE]))).toThrow(/followed by none/);
    const records = ["major=0", "minor=1", "map=5,3,1,9", "size=3"].map((text) => ` GNU.sparse.${text}\n`);
    const sparse = records.map((text) => `${text.length + 2}${text}`).join("");
    expect(() => read(Buffer.concat([paxOf(Buffer.from(sparse)), good]))).toThrow(/holes/);
  });

  it("never makes the parser do anything but finish or say what is wrong", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }), (edits) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          read(bytes, 777);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid" });
        }
      }),
    );
  });
});
