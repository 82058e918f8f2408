import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import zlib from "node:zlib";
import { expect, it } from "vitest";
import { Harness } from "./harness.js";

const SCRIPT = `mkdir d; echo small > d/small; : > d/empty; ln -s small d/link; ln d/small d/same
  head -c 9000000 /dev/urandom > big; printf x > "$(printf 'n\\303\\244me')"`;
const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

interface TocEntry {
  readonly name: string;
  readonly type: string;
  readonly size?: number;
  readonly offset?: number;
  readonly chunkOffset?: number;
  readonly chunkSize?: number;
  readonly chunkDigest?: string;
  readonly digest?: string;
  readonly linkName?: string;
}

/** The table of contents, found by the footer. */
function tocOf(blob: Buffer): { readonly bytes: Buffer; readonly entries: readonly TocEntry[] } {
  const footer = blob.subarray(-51);
  expect(footer.toString("latin1", 32, 38)).toBe("STARGZ");
  const offset = Number.parseInt(footer.toString("latin1", 16, 32), 16);
  const tar = zlib.gunzipSync(blob.subarray(offset));
  expect(tar.toString("latin1", 0, 17)).toBe("stargz.index.json");
  const size = Number.parseInt(tar.toString("latin1", 124, 135), 8);
  const bytes = tar.subarray(512, 512 + size);
  return { bytes, entries: JSON.parse(bytes.toString()).entries };
}

/** What the gzip member at OFFSET begins with. */
function memberAt(blob: Buffer, offset: number, bytes: number): Buffer {
  const raw = zlib.inflateRawSync(blob.subarray(offset + 10), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
  return raw.subarray(0, bytes);
}

it("packs to eStargz, whose every chunk is found and checked alone, and which is a plain tar.gz to others", async () => {
  await using harness = await Harness.start("overlay");
  const layer = await harness.layer([], SCRIPT);
  const output = harness.file("layer.esgz");
  const plain = await harness.run("exportLayer", {
    layer,
    compression: { kind: "none" },
    output: harness.file("plain"),
  });
  const packed = await harness.run("exportLayer", { layer, compression: { kind: "estargz", level: 6 }, output });
  const blob = fs.readFileSync(output);
  expect(packed).toMatchObject({ archive: plain.diffId, digest: sha256(blob), sizeBytes: blob.length });
  const unpacked = execFileSync("gzip", ["-dc", output], { maxBuffer: 1 << 28 });
  expect(packed.diffId).toBe(sha256(unpacked));
  expect(packed.annotations?.["io.containers.estargz.uncompressed-size"]).toBe(String(unpacked.length));
  const toc = tocOf(blob);
  expect(packed.annotations?.["containerd.io/snapshot/stargz/toc.digest"]).toBe(sha256(toc.bytes));
  const listed = execFileSync("tar", ["-tzf", output], { encoding: "utf8" }).trimEnd().split("\n");
  const names = toc.entries.filter(({ type }) => type !== "chunk").map(({ name }) => name);
  expect(names).toHaveLength(listed.length);
  expect(listed[0]).toBe(".no.prefetch.landmark");
  expect(names).toContain("näme");
  const archive = fs.readFileSync(harness.file("plain"));
  expect(unpacked.includes(archive)).toBe(true);
  const chunks = toc.entries.filter(({ chunkDigest }) => chunkDigest !== undefined);
  for (const { name, offset = 0, chunkOffset = 0, chunkSize, chunkDigest } of chunks) {
    const size = toc.entries.find((entry) => entry.name === name)?.size ?? 0;
    expect(sha256(memberAt(blob, offset, chunkSize ?? size - chunkOffset))).toBe(chunkDigest);
  }
  expect(chunks.filter(({ name }) => name === "big")).toHaveLength(3);
  expect(toc.entries.find(({ name }) => name === "big")?.digest).toMatch(/^sha256:/);
  expect(toc.entries.find(({ name }) => name === "d/small")).toMatchObject({ type: "hardlink", linkName: "d/same" });
});

it.each([
  { kind: "gzip", level: 1 },
  { kind: "zstd", level: 3 },
  { kind: "zstd", level: 0 },
] as const)("packs alike in the background and alone, with $kind at level $level", async (compression) => {
  await using harness = await Harness.start("overlay");
  const layer = await harness.layer([], SCRIPT);
  const plain = harness.file("plain");
  const { diffId } = await harness.run("exportLayer", { layer, compression: { kind: "none" }, output: plain });
  const [first, second] = [harness.file("first"), harness.file("second")];
  const alone = await harness.run("exportLayer", { layer, compression, output: first });
  expect(alone).toMatchObject({ diffId, archive: diffId, digest: sha256(fs.readFileSync(first)) });
  expect(alone.encoder).toMatch(/^(zlib|libzstd|zstd\(1\)) \d/);
  const beside = await harness.run("exportLayer", { layer, compression, output: second, background: true });
  expect(beside.digest).toBe(alone.digest);
  const program = compression.kind === "gzip" ? "gzip" : "zstd";
  expect(execFileSync(program, ["-dcq", first], { maxBuffer: 1 << 28 }).equals(fs.readFileSync(plain))).toBe(true);
  const converted = await harness.run("convertBlob", {
    input: first,
    name: "blob",
    compression: { kind: "gzip", level: 6 },
    output: second,
  });
  expect(converted.archive).toBe(diffId);
  const direct = harness.file("direct");
  await harness.run("exportLayer", { layer, compression: { kind: "gzip", level: 6 }, output: direct });
  expect(fs.readFileSync(second).equals(fs.readFileSync(direct))).toBe(true);
});

it("refuses to pack a table of contents into another one", async () => {
  await using harness = await Harness.start("overlay");
  const layer = await harness.layer([], "echo '{}' > stargz.index.json");
  const output = harness.file("layer");
  await expect(
    harness.run("exportLayer", { layer, compression: { kind: "estargz", level: 6 }, output }),
  ).rejects.toMatchObject({ code: "unsupported" });
});

it("gives the contents and digests that are asked for, of the layers they are from, and follows no link", async () => {
  await using harness = await Harness.start("overlay");
  const below = await harness.layer(
    [],
    "mkdir -p etc gone; echo a > etc/a; echo g > gone/f; ln -s /etc/passwd etc/link",
  );
  const above = await harness.layer([below], "rm -r gone; echo b > etc/b");
  const survey = await harness.run("surveyTree", {
    tree: [below, above],
    contents: ["^etc/", "^gone/"],
    digests: true,
  });
  const texts = survey.contents.map(({ path, content, layer }) => [path, Buffer.from(content).toString(), layer]);
  expect(texts).toEqual([
    ["etc/a", "a\n", 0],
    ["etc/b", "b\n", 1],
  ]);
  expect(survey.digests).toEqual([
    { path: "etc/a", digest: sha256(Buffer.from("a\n")) },
    { path: "etc/b", digest: sha256(Buffer.from("b\n")) },
  ]);
});
