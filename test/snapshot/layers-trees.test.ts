import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import type { LayerId, Tree } from "../../src/snapshot/tree.js";
import { Harness } from "./harness.js";
import type { Seen } from "./layer-worker.js";

/** Names in bytes, a character each: no UTF-8, what shells and archives have to quote, as long as a name may be. */
const NAMES = [
  ..."a b c".split(" "),
  "sp ace",
  "new\nline",
  "back\\slash",
  ".hidden",
  "\xc3\xbc",
  "\xff\xfe",
  "x".repeat(110),
  ...["1", "2"].map((last) => "y".repeat(254) + last),
];
/** TEXT, of whose characters each is a byte, as a word of a shell script. */
function quote(text: string): string {
  const bytes = [...text].map((byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);
  return `"$(printf '${bytes.join("")}')"`;
}
/** Writing to a pipe would wait for a reader, and through a link would reach whatever the machine has there. */
const writable = (at: string) => `test ! -L ${at} && test -f ${at} -o ! -e ${at}`;
const some = (at: string) => `{ test -e ${at} -o -L ${at} || echo some > ${at}; }`;
/** Seconds since the epoch: in 1901, around it, in 2106, at the end of what ext4 has. */
const second = fc.oneof(
  fc.integer({ min: -1000, max: 2_000_000_000 }),
  fc.constantFrom(-(2 ** 31), 2 ** 32, 15_032_385_535),
);
const stamp = second.map((s) => `@${s}.${String(Math.abs(s * 7919) % 1_000_000_000).padStart(9, "0")}`);
const OWNERS = ["0:0", "1000:50", "3000000:4000000", "2147483648:4294967294"];
/** Only the first kind is told to others; what overlay file systems say themselves must not come to mean anything. */
const XATTRS = [
  "security.capability -v 0x0100000280000000000000000000000000000000",
  "user.empty",
  "user.binary -v 0x000a3dff00",
  "trusted.mine -v x",
  "user.overlay.opaque -v y",
  "user.overlay.redirect -v /a",
  "trusted.overlay.metacopy",
  "user.overlay.whiteout -v y",
];

/** One change to a tree of such NAMES as a shell command; one that cannot be done is skipped. */
function changeOf(names: readonly string[]): fc.Arbitrary<string> {
  const parts = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 });
  const place = parts.map((path) => quote(path.join("/")));
  const inside = fc.constantFrom(...names.map(quote));
  const two = fc.tuple(place, place);
  const text = fc.stringMatching(/^[ -&(-~]{0,8}$/);
  return fc.oneof(
    { weight: 4, arbitrary: fc.tuple(place, text).map(([at, put]) => `${writable(at)} && printf %s '${put}' > ${at}`) },
    { weight: 4, arbitrary: place.map((at) => `mkdir -p ${at}`) },
    { weight: 2, arbitrary: place.map((at) => `rm -rf ${at}`) },
    { weight: 2, arbitrary: two.map(([from, to]) => `ln ${from} ${to}`) },
    two.map(([from, to]) => `ln -sfn ${from} ${to}`),
    { weight: 2, arbitrary: two.map(([from, to]) => `mv -T ${from} ${to}`) },
    // A directory that is another one now, or a link to one, or was moved away with what lower layers have in it.
    fc.tuple(place, inside).map(([at, name]) => `test -d ${at} && rm -rf ${at} && mkdir ${at} && echo > ${at}/${name}`),
    two.map(([at, to]) => `test -d ${at} && rm -rf ${at} && ln -s /${to} ${at}`),
    two.map(([from, to]) => `test -d ${from} && mv -T ${from} ${to} && mkdir ${from}`),
    // Names of one file in two directories.
    fc
      .tuple(two, inside)
      .map(
        ([[one, other], name]) =>
          `mkdir -p ${one} ${other} && echo > ${one}/${name} && ln ${one}/${name} ${other}/${name}`,
      ),
    fc
      .tuple(place, fc.constantFrom("0600", "4755", "1777", "2711", "0000"))
      .map(([at, mode]) => `${some(at)} && chmod ${mode} ${at}`),
    fc.tuple(place, fc.constantFrom(...OWNERS)).map(([at, owner]) => `${some(at)} && chown -h ${owner} ${at}`),
    fc.tuple(place, stamp).map(([at, time]) => `${some(at)} && touch -h -d ${time} ${at}`),
    place.map((at) => `mkfifo ${at}`),
    fc.tuple(place, fc.constantFrom("b 259 70000", "c 1 3")).map(([at, device]) => `mknod ${at} ${device}`),
    place.map((at) => `${writable(at)} && echo more >> ${at}`),
    fc
      .tuple(place, fc.integer({ min: 0, max: 3_000_000 }))
      .map(([at, size]) => `${writable(at)} && truncate -s ${size} ${at} && echo end >> ${at}`),
    fc
      .tuple(place, fc.constantFrom(...XATTRS))
      .map(([at, xattr]) => `${some(at)} && test ! -L ${at} && setfattr -n ${xattr} ${at}`),
  );
}

/** The changes of three layers, to few names, so that they meet. */
const history = fc
  .subarray(NAMES, { minLength: 3, maxLength: 4 })
  .chain((names) => fc.tuple(...[1, 2, 3].map(() => fc.array(changeOf(names), { minLength: 2, maxLength: 14 }))));

const script = (changes: readonly string[]) => changes.map((text) => `(${text}) 2>/dev/null || :`).join("\n");

/**
 * FOUND without links that the step itself did not see: an overlay file system copies a name on its own when a step only pretends to change
 * it; what equals the lower layer's is left to that, where it is a link still.
 */
function unlinked(found: Map<string, Seen>, wanted: Map<string, Seen>): Map<string, Seen> {
  // An archive has whole seconds, and not all attributes.
  const told = (file?: Seen) => JSON.stringify({ ...file, mtimeNs: undefined, xattrs: undefined });
  return new Map(
    [...found].map(([name, { same: first, ...file }]) => {
      const alone =
        first !== undefined && wanted.get(name)?.same === undefined && told(wanted.get(first)) === told(file);
      return [name, first === undefined || alone ? file : { ...file, same: first }];
    }),
  );
}

/** Names as they are, and times of directories left out: no layer tells them for unchanged directories. */
function plain(seen: Map<string, Seen>): [string, Seen][] {
  return [...seen].map(([name, file]) => [name, file]);
}

/** As an archive tells it: whole seconds, and of attributes the capabilities of regular files. */
function archived(seen: Map<string, Seen>): [string, Seen][] {
  return plain(seen).map(([name, file]) => {
    const { mtimeNs, xattrs, ...rest } = file;
    const capability = file.kind === "file" ? xattrs?.["security.capability"] : undefined;
    return [
      name,
      {
        ...rest,
        ...(mtimeNs !== undefined && { mtimeNs: String(floorSeconds(BigInt(mtimeNs))) }),
        ...(capability !== undefined && { xattrs: { "security.capability": capability } }),
      },
    ];
  });
}

function floorSeconds(ns: bigint): bigint {
  const second = 1_000_000_000n;
  return ns - (((ns % second) + second) % second);
}

async function writtenLayer(
  harness: Harness,
  parents: Tree,
  text: string,
): Promise<{ layer: LayerId; seen: Map<string, Seen> }> {
  const layer = harness.newLayer();
  await harness.run("createLayer", { layer, parents });
  await harness.run("script", { tree: parents, upper: layer, text });
  const seen = await harness.run("look", { tree: parents, upper: layer });
  await harness.run("commitLayer", { layer, parents });
  return { layer, seen };
}

async function throughArchives(harness: Harness, tree: Tree): Promise<Tree> {
  const layers = [];
  for (const from of tree) {
    const output = harness.file(`${from}.tar.gz`);
    const { diffId } = await harness.run("exportLayer", {
      layer: from,
      compression: { kind: "gzip", level: 1 },
      output,
    });
    const layer = harness.newLayer();
    layers.push({ layer, fixups: await harness.run("unpackLayer", { blob: output, layer, diffId }) });
    fs.rmSync(output);
  }
  await harness.run("settleLayers", { base: [], layers });
  return layers.map(({ layer }) => layer);
}

describe.each(["overlay", "native", "native on overlay"] as const)("with the %s snapshotter", (snapshotter) => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await Harness.start(snapshotter);
  });
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
  });
  const look = (tree: Tree) => harness.run("look", { tree });

  it("committed layers show what was written, as directories, through archives and as computed differences", async () => {
    await fc.assert(
      fc.asyncProperty(history, async ([first = [], second = [], third = []]) => {
        const one = await writtenLayer(harness, [], script(first));
        const two = await writtenLayer(harness, [one.layer], script(second));
        const three = await writtenLayer(harness, [one.layer, two.layer], script(third));
        const tree = [one.layer, two.layer, three.layer];
        const shows = async (shown: Tree, { seen }: typeof one, as = plain) =>
          expect(as(unlinked(await look(shown), seen))).toEqual(as(seen));
        await shows([one.layer], one);
        await shows([one.layer, two.layer], two);
        await shows(tree, three);

        const unpacked = await throughArchives(harness, tree);
        await shows(unpacked, three, archived);
        await shows(unpacked.slice(0, 2), two, archived);

        const layer = harness.newLayer();
        await harness.run("diffTrees", { lower: [one.layer], upper: tree, layer });
        await shows([one.layer, layer], three);
        const back = harness.newLayer();
        await harness.run("diffTrees", { lower: tree, upper: [one.layer], layer: back });
        await shows([...tree, back], one);
      }),
      { numRuns: 12 },
    );
  });

  it("a tree is written as one archive with owners, times, links and attributes", async () => {
    const { layer, seen } = await writtenLayer(
      harness,
      [],
      "mkdir -p sub && echo f > sub/f && ln sub/f h && ln -s sub/f l && chown 1000:50 h && chmod 4750 h && mkfifo p && setfattr -n user.a -v b h && touch -d '2001-02-03 04:05:06.6' h",
    );
    const top = await harness.layer([layer], "rm p && touch -d 2011-01-01T00:00:00Z new");
    const output = harness.file("tree.tar");
    await harness.run("tarTree", { parts: [{ tree: [layer, top] }], output });
    const text = execFileSync("tar", ["--utc", "--numeric-owner", "--full-time", "--sort=none", "-tvf", output], {
      encoding: "utf8",
    });
    expect(text).toContain("-rwsr-x--- 1000/50");
    expect(text).toMatch(/2001-02-03 04:05:07 h\n/);
    expect(text).toMatch(/hrwsr-x--- .* sub\/f link to h\n/);
    expect(text.trim().split("\n")).toHaveLength(5);
    expect(fs.readFileSync(output, "latin1")).toContain("SCHILY.xattr.user.a=b\n");
    expect(seen.size).toBe(5);
    await harness.run("tarTree", { parts: [{ tree: [] }], output });
    expect(fs.readFileSync(output).equals(Buffer.alloc(1024))).toBe(true);
    await harness.run("tarTree", {
      parts: [
        {
          tree: [layer],
          directory: { name: "linux_amd64", mtimeSeconds: 1 },
          files: [{ name: "provenance.json", content: Buffer.from("{}"), mtimeSeconds: 1 }],
        },
        { tree: [], directory: { name: "linux_arm64", mtimeSeconds: 1 } },
      ],
      output,
      epochSeconds: 1_400_000_000,
    });
    const listed = execFileSync("tar", ["--utc", "--full-time", "-tvf", output], { encoding: "utf8" })
      .trim()
      .split("\n");
    expect(listed.every((line) => line.includes("2014-05-13 16:53:20"))).toBe(true);
    expect(listed.map((line) => line.split("16:53:20 ")[1])).toEqual([
      "linux_amd64/",
      "linux_amd64/h",
      "linux_amd64/l -> sub/f",
      "linux_amd64/p",
      "linux_amd64/sub/",
      "linux_amd64/sub/f link to linux_amd64/h",
      "linux_amd64/provenance.json",
      "linux_arm64/",
    ]);
  });

  it("a tree is copied over a directory of the caller's, who owns the copies", async () => {
    const { layer } = await writtenLayer(
      harness,
      [],
      "mkdir -p sub new l2 && echo new > f && echo g > sub/g && ln f hard && ln -s f l && chown 1000:50 f && chmod 4750 f && touch -d 2001-02-03T04:05:06Z f && touch -d 2019-01-01T00:00:00Z new && touch l2/inside",
    );
    const target = harness.file("out");
    fs.mkdirSync(path.join(target, "sub"), { recursive: true });
    for (const name of ["f", "keep", "l", "sub/stay"]) fs.writeFileSync(path.join(target, name), "old");
    const elsewhere = harness.file("elsewhere");
    fs.mkdirSync(elsewhere);
    fs.symlinkSync(elsewhere, path.join(target, "l2"));
    const owner = { uid: 12, gid: 34 };
    await harness.run("exportTree", { tree: [layer], target, owner, existing: "keep" });
    const seen = await harness.run("lookAt", { directory: target });
    expect([...seen.keys()]).toEqual(["f", "hard", "keep", "l", "l2", "l2/inside", "new", "sub", "sub/g", "sub/stay"]);
    expect(seen.get("f")).toMatchObject({ mode: 0o4750, owner: "12:34", mtimeNs: "981173106000000000" });
    expect(seen.get("hard")).toMatchObject({ same: "f" });
    expect(seen.get("l")).toMatchObject({ kind: "symlink", owner: "12:34" });
    expect(seen.get("keep")).toMatchObject({ owner: "0:0" });
    expect(fs.statSync(path.join(target, "new")).mtimeMs).toBe(Date.parse("2019-01-01T00:00:00Z"));
    expect(fs.readdirSync(elsewhere)).toEqual([]);
    await harness.run("exportTree", { tree: [layer], target, owner, existing: "delete", epochSeconds: 1_400_000_000 });
    const again = await harness.run("lookAt", { directory: target });
    expect([...again.keys()]).toEqual(["f", "hard", "l", "l2", "l2/inside", "new", "sub", "sub/g"]);
    expect(new Set([...again.values()].map((file) => file.mtimeNs))).toEqual(
      new Set([undefined, "1400000000000000000"]),
    );
  });
});

describe("exported layers", () => {
  it("make for umoci the root file system that they make here", async () => {
    await using harness = await Harness.start("overlay");
    const deep = "mkdir -p $(printf 'deep/%.0s' $(seq 60)) && ln -s d link";
    await fc.assert(
      fc.asyncProperty(history, async ([first = [], second = [], third = []]) => {
        const one = await writtenLayer(harness, [], `${deep}\n${script(first)}`);
        const two = await writtenLayer(harness, [one.layer], script(second));
        const three = await writtenLayer(harness, [one.layer, two.layer], script(third));
        const tree = [one.layer, two.layer, three.layer];
        const bundle = await unpackedByUmoci(harness, tree);
        const found = await harness.run("lookAt", { directory: path.join(bundle, "rootfs") });
        fs.rmSync(bundle, { recursive: true });
        const wanted = await harness.run("look", { tree });
        for (const [name, file] of wanted) {
          const { mtimeNs, ...rest } = found.get(name) ?? { kind: "nothing", mode: 0, owner: "" };
          if (BigInt(file.mtimeNs ?? 0) > GO_TIME_MAX_NS && mtimeNs !== undefined)
            found.set(name, { ...rest, mtimeNs: String(file.mtimeNs) });
        }
        expect(archived(found)).toEqual(archived(wanted));
      }),
      { numRuns: 6 },
    );
  });
});

/** Later times than in 2262 umoci takes for others. */
const GO_TIME_MAX_NS = 2n ** 63n - 1n;

/** The directory of a bundle that umoci makes of the layers of TREE. */
async function unpackedByUmoci(harness: Harness, tree: Tree): Promise<string> {
  const layout = harness.file("layout");
  fs.mkdirSync(path.join(layout, "blobs/sha256"), { recursive: true });
  const put = (value: unknown) => {
    const text = JSON.stringify(value);
    const digest = digestOf(text);
    fs.writeFileSync(path.join(layout, "blobs", digest.replace(":", "/")), text);
    return { digest, size: text.length };
  };
  const layers = [];
  for (const layer of tree) {
    const output = harness.file("layer.tar.gz");
    const blob = await harness.run("exportLayer", { layer, compression: { kind: "gzip", level: 1 }, output });
    fs.renameSync(output, path.join(layout, "blobs", blob.digest.replace(":", "/")));
    layers.push(blob);
  }
  const rootfs = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
  const config = put({ architecture: "amd64", os: "linux", config: {}, rootfs });
  const oci = "application/vnd.oci.image";
  const manifest = put({
    schemaVersion: 2,
    mediaType: `${oci}.manifest.v1+json`,
    config: { mediaType: `${oci}.config.v1+json`, ...config },
    layers: layers.map(({ digest, sizeBytes }) => ({ mediaType: `${oci}.layer.v1.tar+gzip`, digest, size: sizeBytes })),
  });
  fs.writeFileSync(path.join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { "org.opencontainers.image.ref.name": "t" };
  const manifests = [{ mediaType: `${oci}.manifest.v1+json`, ...manifest, annotations }];
  fs.writeFileSync(path.join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  const bundle = harness.file("bundle");
  execFileSync("umoci", ["unpack", "--image", `${layout}:t`, bundle], { stdio: "pipe" });
  fs.rmSync(layout, { recursive: true });
  return bundle;
}
