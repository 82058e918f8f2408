import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Digest, digestOf, hexOf } from "../../src/base/index.js";
import {
  type Descriptor,
  encodeImageConfig,
  encodeIndex,
  encodeManifest,
  goJson,
  IMAGE_CONFIG_BYTES_MAX,
  type ImageConfig,
  INDEX_MANIFESTS_MAX,
  type Index,
  LAYERS_MAX,
  MANIFEST_BYTES_MAX,
  type Manifest,
  MediaType,
  openLayout,
  parseImageConfig,
  parseManifestOrIndex,
  readAll,
  sortedMembers,
  successors,
  verified,
} from "../../src/oci/index.js";

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const descriptor = (mediaType: string, content: Uint8Array | string): Descriptor => ({
  mediaType,
  digest: digestOf(content),
  size: Buffer.byteLength(content),
});
const CONFIG: Descriptor = descriptor(MediaType.ociConfig, "config");
const LAYER: Descriptor = descriptor(MediaType.ociLayerGzip, "layer");

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("a document that is nested too deeply", () => {
  const nested = (depth: number, inner = "") =>
    Buffer.from(`{"schemaVersion":2,"x":${"[".repeat(depth)}${inner}${"]".repeat(depth)},"layers":[],"config":{}}`);

  it("is refused before it is parsed, and brackets in texts are none", () => {
    const refused = expect.objectContaining({ code: "invalid", message: "manifest is nested deeper than 64 times" });
    const parse = (bytes: Buffer) => () => parseManifestOrIndex(bytes, MediaType.ociManifest);
    expect(parse(nested(2_000_000))).toThrow(refused);
    expect(parse(nested(64))).toThrow(refused);
    for (const text of [`"${"[".repeat(99)}"`, `"\\"${"{".repeat(99)}"`, `"${"[".repeat(99)}\\\\"`])
      expect(parse(nested(60, text))).not.toThrow(refused);
  });
});

describe("goJson", () => {
  it("escapes as Go does and keeps the order of members, also of numbers", () => {
    const value = sortedMembers({ "9": 1, "10": "<a>&\u2028\u001f\n\u007fé", b: [], a: { d: null, c: true } });
    expect(goJson(value)).toBe(
      '{"10":"\\u003ca\\u003e\\u0026\\u2028\\u001f\\n\u007fé","9":1,"a":{"c":true,"d":null},"b":[]}',
    );
  });

  it("indents by two blanks, but not what is empty", () => {
    expect(
      goJson(
        new Map<string, never[] | number[]>([
          ["a", []],
          ["b", [1, 2]],
        ]),
        "indented",
      ),
    ).toBe('{\n  "a": [],\n  "b": [\n    1,\n    2\n  ]\n}');
  });

  it("writes JSON that says the same", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const expected = JSON.parse(JSON.stringify(object));
        expect(JSON.parse(goJson(sortedMembers(object)))).toEqual(expected);
        expect(JSON.parse(goJson(sortedMembers(object), "indented"))).toEqual(expected);
      }),
    );
  });

  it("sorts by bytes, not by UTF-16 units", () => {
    expect(goJson(sortedMembers({ "\u{1f600}": 1, "\uffee": 2 }))).toBe('{"\uffee":2,"\u{1f600}":1}');
  });
});

describe("manifests", () => {
  const manifest: Manifest = {
    mediaType: MediaType.ociManifest,
    config: CONFIG,
    layers: [LAYER],
    annotations: { b: "<", a: "1" },
  };

  it("are written in the order of the spec's Go struct", () => {
    expect(encodeManifest(manifest).toString()).toBe(`{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "${CONFIG.digest}",
    "size": 6
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "${LAYER.digest}",
      "size": 5
    }
  ],
  "annotations": {
    "a": "1",
    "b": "\\u003c"
  }
}`);
  });

  it("are read as they were written", () => {
    expect(parseManifestOrIndex(encodeManifest(manifest), MediaType.ociManifest)).toEqual({
      kind: "manifest",
      manifest,
    });
    expect(parseManifestOrIndex(encodeManifest(manifest), undefined)).toEqual({ kind: "manifest", manifest });
    const index: Index = {
      mediaType: MediaType.ociIndex,
      manifests: [{ ...CONFIG, platform: { os: "linux", architecture: "arm", variant: "v7", osVersion: "1" } }],
    };
    expect(parseManifestOrIndex(encodeIndex(index), undefined)).toEqual({ kind: "index", index });
    expect(encodeIndex(index).toString()).toContain('"os.version": "1"');
    expect(successors({ kind: "index", index })).toEqual(index.manifests);
    expect(successors({ kind: "manifest", manifest })).toEqual([CONFIG, LAYER]);
  });

  it.each<[string, unknown, string | undefined, string]>([
    ["text", "x", undefined, "malformed"],
    ["schema 1", { schemaVersion: 1, fsLayers: [] }, undefined, "schema 1 manifests are not supported"],
    ["another type", { schemaVersion: 2 }, "text/html", "unexpected media type"],
    [
      "a manifest with manifests",
      { schemaVersion: 2, config: CONFIG, manifests: [] },
      MediaType.ociManifest,
      "but found index",
    ],
    ["an index with layers", { schemaVersion: 2, manifests: [], layers: [] }, MediaType.ociIndex, "but found manifest"],
    [
      "an index that says it is a manifest",
      { schemaVersion: 2, manifests: [], mediaType: MediaType.ociManifest },
      MediaType.ociIndex,
      "found manifest",
    ],
    ["a bad digest", { schemaVersion: 2, config: { ...CONFIG, digest: "sha256:../../x" } }, undefined, "config.digest"],
    ["a negative size", { schemaVersion: 2, config: { ...CONFIG, size: -1 } }, undefined, "config.size"],
    ["a size that is no integer", { schemaVersion: 2, config: { ...CONFIG, size: 1.5 } }, undefined, "config.size"],
    [
      "too many layers",
      { schemaVersion: 2, config: CONFIG, layers: Array(LAYERS_MAX + 1).fill(LAYER) },
      undefined,
      "layers",
    ],
    [
      "too many manifests",
      { schemaVersion: 2, manifests: Array(INDEX_MANIFESTS_MAX + 1).fill(LAYER) },
      undefined,
      "manifests",
    ],
  ])("refuse %s", (_, document, mediaType, message) => {
    expect(() => parseManifestOrIndex(json(document), mediaType)).toThrow(message);
  });

  it("refuse what is no JSON, deeply nested or too large", () => {
    expect(() => parseManifestOrIndex(Buffer.from("{"), undefined)).toThrow("no JSON document");
    expect(() => parseManifestOrIndex(Buffer.from('{"a":'.repeat(500_000)), undefined)).toThrow(
      "nested deeper than 64 times",
    );
    expect(() => parseManifestOrIndex(Buffer.alloc(MANIFEST_BYTES_MAX + 1, 32), undefined)).toThrow("at most");
  });

  it("take null for what is not there", () => {
    const read = parseManifestOrIndex(
      json({ schemaVersion: 2, config: { ...CONFIG, urls: null }, layers: null, annotations: null }),
      undefined,
    );
    expect(read).toEqual({
      kind: "manifest",
      manifest: { mediaType: MediaType.ociManifest, config: CONFIG, layers: [] },
    });
  });
});

describe("image configs", () => {
  const config: ImageConfig = {
    os: "linux",
    architecture: "amd64",
    "moby.buildkit.cache.v0": { b: 1, a: 2 },
    config: {
      Labels: { "9": "a", "10": "<b>" },
      Cmd: ["sh"],
      Env: ["PATH=/bin"],
      Entrypoint: [],
      Healthcheck: { Retries: 3, Test: ["NONE"] },
      ExposedPorts: { "80/tcp": {}, "443/tcp": {} },
      WorkingDir: "/",
      Foreign: true,
    },
    rootfs: { type: "layers", diff_ids: [LAYER.digest] },
    history: [{ comment: "c", created_by: "x && y", created: "2020-01-01T00:00:00Z", empty_layer: false }],
  };

  it("are written with the outer members sorted and the inner ones in the order of Go's structs", () => {
    expect(encodeImageConfig(config).toString()).toBe(
      `{"architecture":"amd64","config":{"ExposedPorts":{"443/tcp":{},"80/tcp":{}},"Env":["PATH=/bin"],"Cmd":["sh"],"WorkingDir":"/",` +
        `"Labels":{"10":"\\u003cb\\u003e","9":"a"},"Healthcheck":{"Test":["NONE"],"Retries":3},"Foreign":true},` +
        `"history":[{"created":"2020-01-01T00:00:00Z","created_by":"x \\u0026\\u0026 y","comment":"c"}],` +
        `"moby.buildkit.cache.v0":{"a":2,"b":1},"os":"linux","rootfs":{"type":"layers","diff_ids":["${LAYER.digest}"]}}`,
    );
  });

  it("write an empty config and rootfs all the same", () => {
    const empty: ImageConfig = {
      os: "",
      architecture: "",
      config: {},
      rootfs: { type: "layers", diff_ids: [] },
      history: [],
    };
    expect(encodeImageConfig(empty).toString()).toBe(
      '{"architecture":"","config":{},"os":"","rootfs":{"type":"layers","diff_ids":[]}}',
    );
  });

  it("are read with null as what is not there, and keep what they don't know", () => {
    const read = parseImageConfig(
      json({
        os: "linux",
        architecture: "arm64",
        config: { Cmd: null, Hostname: "x" },
        rootfs: { type: "layers", diff_ids: null },
        docker_version: "1",
      }),
    );
    expect(read).toEqual({
      os: "linux",
      architecture: "arm64",
      config: { Hostname: "x" },
      rootfs: { type: "layers", diff_ids: [] },
      history: [],
      docker_version: "1",
    });
  });

  it("keep labels with names that mean something to JavaScript", () => {
    const text =
      '{"os":"l","architecture":"a","config":{"Labels":{"constructor":"x","__proto__":"y"}},"rootfs":{"type":"layers"}}';
    expect(encodeImageConfig(parseImageConfig(Buffer.from(text))).toString()).toContain(
      '"Labels":{"__proto__":"y","constructor":"x"}',
    );
  });

  it.each<[string, unknown]>([
    ["Env that is no list", { config: { Env: "A=1" } }],
    ["labels that are no strings", { config: { Labels: { a: 1 } } }],
    ["ports that are no set", { config: { ExposedPorts: ["80"] } }],
    ["another rootfs", { rootfs: { type: "tar", diff_ids: [] } }],
    ["a bad diff id", { rootfs: { type: "layers", diff_ids: ["sha256:x"] } }],
    ["a history that is no list", { history: {} }],
  ])("refuse %s", (_, part) => {
    const whole = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] }, ...(part as object) };
    expect(() => parseImageConfig(json(whole))).toThrow(/image config is malformed: \w+/);
  });

  it("refuse what is too large", () => {
    expect(() => parseImageConfig(Buffer.alloc(IMAGE_CONFIG_BYTES_MAX + 1, 32))).toThrow("at most");
  });
});

describe("verified", () => {
  const source = (content: string) => ({
    read: async function* () {
      for (const character of content) yield Buffer.from(character);
    },
  });
  const target = descriptor("text/plain", "hello");

  it("hands over the right bytes", async () => {
    expect(await bytesOf(verified(source("hello")).read(target))).toBe("hello");
    expect((await readAll(source("hello"), target, 5)).toString()).toBe("hello");
  });

  it.each([
    ["hellx", /got sha256:[0-9a-f]+ after 5 bytes/],
    ["hell", /got 4 bytes, expected 5/],
    ["hello!", /got more than the 5 bytes expected/],
  ])("refuses %s", async (content, message) => {
    const read = bytesOf(verified(source(content)).read(target));
    await expect(read).rejects.toMatchObject({ code: "data-loss", message: expect.stringMatching(message) });
  });

  it("does not even start on what is announced to be too large", async () => {
    await expect(readAll(source("hello"), target, 4)).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("openLayout", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "layout-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const putBlob = async (content: Uint8Array | string): Promise<Digest> => {
    const digest = digestOf(content);
    await mkdir(path.join(dir, "blobs/sha256"), { recursive: true });
    await writeFile(path.join(dir, "blobs/sha256", hexOf(digest)), content);
    return digest;
  };
  const putIndex = (manifests: readonly Descriptor[]) =>
    writeFile(path.join(dir, "index.json"), encodeIndex({ mediaType: MediaType.ociIndex, manifests }));
  const tagged = (target: Descriptor, tag: string): Descriptor => ({
    ...target,
    annotations: { "org.opencontainers.image.ref.name": tag },
  });

  it("finds images by tag and by digest, and reads their blobs", async () => {
    const manifest = encodeManifest({ mediaType: MediaType.ociManifest, config: CONFIG, layers: [] });
    const target = descriptor(MediaType.ociManifest, manifest);
    const other = descriptor(MediaType.ociManifest, "other");
    await putBlob(manifest);
    await putBlob("config");
    await putIndex([tagged(target, "one"), tagged(other, "two")]);
    const layout = await openLayout(dir);
    expect((await layout.resolve({ tag: "two" })).digest).toBe(other.digest);
    expect((await layout.resolve({ digest: target.digest, tag: "two" })).digest).toBe(target.digest);
    expect(await bytesOf(layout.read(CONFIG))).toBe("config");
    expect(await bytesOf(layout.read(CONFIG, { offset: 3 }))).toBe("fig");
    await expect(layout.resolve({ tag: "three" })).rejects.toMatchObject({ code: "not-found" });
    await expect(bytesOf(layout.read(other))).rejects.toMatchObject({ code: "not-found" });
  });

  it("gives its only image for a tag it doesn't know", async () => {
    await putIndex([tagged(CONFIG, "one"), tagged(CONFIG, "two")]);
    expect((await (await openLayout(dir)).resolve({ tag: "other" })).digest).toBe(CONFIG.digest);
  });

  it("describes a manifest that only its blobs hold", async () => {
    const manifest = encodeManifest({ mediaType: MediaType.dockerManifest, config: CONFIG, layers: [] });
    const digest = await putBlob(manifest);
    await putIndex([]);
    const layout = await openLayout(dir);
    expect(await layout.resolve({ digest })).toEqual(descriptor(MediaType.dockerManifest, manifest));
    await expect(layout.resolve({ digest: CONFIG.digest })).rejects.toMatchObject({ code: "not-found" });
  });

  it("refuses damaged blobs and those that are no files", async () => {
    await putIndex([CONFIG]);
    await mkdir(path.join(dir, "blobs/sha256", hexOf(CONFIG.digest)), { recursive: true });
    const layout = await openLayout(dir);
    await expect(bytesOf(layout.read(CONFIG))).rejects.toMatchObject({ code: "invalid" });
    await rm(path.join(dir, "blobs/sha256", hexOf(CONFIG.digest)), { recursive: true });
    await writeFile(path.join(dir, "blobs/sha256", hexOf(CONFIG.digest)), "confix");
    await expect(bytesOf(layout.read(CONFIG))).rejects.toMatchObject({ code: "data-loss" });
  });

  it("says where there is no layout", async () => {
    await expect(openLayout(dir)).rejects.toMatchObject({ code: "not-found", message: expect.stringContaining(dir) });
  });

  const dockerArchive = async (layer: string, tags: readonly string[]) => {
    const config = encodeImageConfig({
      os: "linux",
      architecture: "amd64",
      config: {},
      rootfs: { type: "layers", diff_ids: [digestOf("tar")] },
      history: [],
    });
    await writeFile(path.join(dir, "config.json"), config);
    await writeFile(
      path.join(dir, "manifest.json"),
      json([{ Config: "config.json", RepoTags: tags, Layers: [layer] }]),
    );
  };

  it("reads an older docker save archive, whose layers may be links", async () => {
    await dockerArchive("a/layer.tar", ["app:1", "app:2"]);
    await mkdir(path.join(dir, "a"));
    await writeFile(path.join(dir, "real.tar"), "tar");
    await symlink("../real.tar", path.join(dir, "a/layer.tar"));
    const layout = await openLayout(dir);
    const target = await layout.resolve({ tag: "docker.io/library/app:2" });
    const document = parseManifestOrIndex(await readAll(layout, target, 10_000), target.mediaType);
    const [config, layer] = successors(document);
    if (config === undefined || layer === undefined) throw new Error("expected a config and a layer");
    expect(parseImageConfig(await readAll(layout, config, 10_000)).os).toBe("linux");
    expect(await bytesOf(layout.read(layer))).toBe("tar");
  });

  it("refuses an archive that points out of itself", async () => {
    await dockerArchive("../../../../../../etc/passwd", []);
    await expect(openLayout(dir)).rejects.toMatchObject({
      code: "invalid",
      message: expect.stringContaining("outside"),
    });
    await dockerArchive("link", []);
    await symlink("/etc/passwd", path.join(dir, "link"));
    await expect(openLayout(dir)).rejects.toMatchObject({
      code: "invalid",
      message: expect.stringContaining("outside"),
    });
  });
});
