import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/base/index.js";
import {
  convertSchema1,
  isSchema1,
  MediaType,
  parseImageConfig,
  parseManifestOrIndex,
  parseSchema1,
} from "../../src/oci/index.js";

const EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
const BASE = digestOf("base");
const TOP = digestOf("top");

interface Line {
  readonly blob: string;
  readonly words: object;
}

/** A manifest of that time, top first as they were. */
function manifest(lines: readonly Line[], more: object = {}): Buffer {
  const history = lines.map(({ words }) => ({ v1Compatibility: JSON.stringify(words) }));
  const fsLayers = lines.map(({ blob }) => ({ blobSum: blob }));
  return Buffer.from(
    JSON.stringify(
      { schemaVersion: 1, name: "app", tag: "1", architecture: "arm64", fsLayers, history, ...more },
      null,
      3,
    ),
  );
}

const ran = (command: string) => ({ container_config: { Cmd: ["/bin/sh", "-c", command] } });
const LINES: readonly Line[] = [
  {
    blob: EMPTY,
    words: {
      id: "c",
      parent: "b",
      throwaway: true,
      os: "linux",
      architecture: "arm64",
      created: "2015-03-03T00:00:00Z",
      config: { Env: ["A=<b>"], Cmd: ["sh"] },
      docker_version: "1.9",
      ...ran("#(nop) ENV"),
    },
  },
  { blob: TOP, words: { id: "b", parent: "a", created: "2015-02-02T00:00:00Z", author: "me", ...ran("make") } },
  { blob: BASE, words: { id: "a", created: "2015-01-01T00:00:00Z", comment: "first" } },
];

function layer(blob: Digest) {
  return {
    descriptor: { mediaType: MediaType.dockerLayerGzip, digest: blob, size: 4 },
    diffId: digestOf(`${blob} unpacked`),
  };
}

describe("an image of Docker's schema 1", () => {
  it("is told from others", () => {
    expect(isSchema1(manifest(LINES))).toBe(true);
    for (const text of ["", "{}", "null", "1", '{"schemaVersion":2}']) expect(isSchema1(Buffer.from(text))).toBe(false);
  });

  it("has its layers bottom first, without those that change nothing", () => {
    const { layers, architecture } = parseSchema1(manifest(LINES));
    expect(architecture).toBe("arm64");
    expect(layers.map(({ blob, isEmpty }) => [blob, isEmpty])).toEqual([
      [BASE, false],
      [TOP, false],
      [EMPTY, true],
    ]);
  });

  it("becomes the image that docker made of it", () => {
    const converted = convertSchema1(parseSchema1(manifest(LINES)), [layer(BASE), layer(TOP)]);
    const config = parseImageConfig(converted.config);
    expect(config).toMatchObject({
      architecture: "arm64",
      os: "linux",
      docker_version: "1.9",
      config: { Cmd: ["sh"] },
    });
    expect(config.rootfs.diff_ids).toEqual([layer(BASE).diffId, layer(TOP).diffId]);
    expect(config.history).toEqual([
      { created: "2015-01-01T00:00:00Z", comment: "first" },
      { created: "2015-02-02T00:00:00Z", author: "me", created_by: "/bin/sh -c make" },
      { created: "2015-03-03T00:00:00Z", created_by: "/bin/sh -c #(nop) ENV", empty_layer: true },
    ]);
    for (const name of ["id", "parent", "throwaway"]) expect(config).not.toHaveProperty(name);
    expect(converted.config.toString()).toContain('"Env":["A=\\u003cb\\u003e"]');
    const document = parseManifestOrIndex(converted.manifest, MediaType.dockerManifest);
    expect(document).toMatchObject({ manifest: { config: { digest: digestOf(converted.config) } } });
  });

  it("is called by the digest of what was signed", () => {
    const plain = manifest(LINES);
    const end = plain.lastIndexOf("\n}");
    const header = JSON.stringify({ formatLength: end, formatTail: plain.subarray(end).toString("base64url") });
    const signatures = [{ protected: Buffer.from(header).toString("base64url"), signature: "x" }];
    const signed = Buffer.concat([
      plain.subarray(0, end),
      Buffer.from(`,\n   "signatures": ${JSON.stringify(signatures)}`),
      plain.subarray(end),
    ]);
    expect(parseSchema1(signed).digest).toBe(digestOf(plain));
    expect(parseSchema1(plain).digest).toBe(digestOf(plain));
  });

  it.each([
    ["no layers", manifest([])],
    ["more layers than lines of history", manifest(LINES, { history: [{ v1Compatibility: "{}" }] })],
    ["a blob without a digest", manifest([{ blob: "md5:x", words: {} }])],
    ["a line of history that is no JSON", manifest(LINES, { history: LINES.map(() => ({ v1Compatibility: "{" })) })],
    ["a signature that says nothing", manifest(LINES, { signatures: [{ protected: "" }] })],
    [
      "a signature of less than nothing",
      manifest(LINES, {
        signatures: [{ protected: Buffer.from('{"formatLength":-1,"formatTail":""}').toString("base64url") }],
      }),
    ],
  ])("is refused with %s", (_, bytes) => {
    expect(() => parseSchema1(bytes)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it("has a layer once that is listed twice in a row, and is empty where its size says so", () => {
    const twice = manifest([
      ...LINES.slice(0, 2),
      ...LINES.slice(1),
      { blob: digestOf("odd"), words: { id: "0", Size: 0 } },
    ]);
    expect(parseSchema1(twice).layers.map(({ blob, isEmpty }) => [blob, isEmpty])).toEqual([
      [digestOf("odd"), true],
      [BASE, false],
      [TOP, false],
      [EMPTY, true],
    ]);
  });
});
