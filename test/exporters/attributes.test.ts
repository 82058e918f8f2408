import { describe, expect, it } from "vitest";
import { parseImageOutput, parseStoreOutput, parseTreeOutput } from "../../src/exporters/index.js";

describe("attributes of an image archive", () => {
  it("have BuildKit's defaults", () => {
    expect(parseImageOutput("oci", {})).toEqual({
      compression: "gzip",
      level: undefined,
      forceCompression: false,
      mediaTypes: "oci",
      sourceDateEpoch: undefined,
      rewriteTimestamp: false,
      annotations: [],
      ociArtifact: true,
      inlineAttestations: false,
      squash: undefined,
      tar: true,
      names: [],
    });
  });

  it("say how layers are packed, dated and described", () => {
    const output = parseImageOutput("docker", {
      compression: "uncompressed",
      "compression-level": "9",
      "force-compression": "",
      "oci-mediatypes": "f",
      "rewrite-timestamp": "T",
      "source-date-epoch": "17",
      name: "a,b:c",
      tar: "",
    });
    expect(output).toMatchObject({
      compression: "uncompressed",
      level: 9,
      forceCompression: true,
      mediaTypes: "docker",
      rewriteTimestamp: true,
      sourceDateEpoch: 17,
      names: ["a", "b:c"],
      tar: true,
    });
    expect(parseImageOutput("oci", { tar: "false", "source-date-epoch": "" })).toMatchObject({
      tar: false,
      sourceDateEpoch: "none",
    });
  });

  it("hold annotations for documents and descriptors, for all platforms or one", () => {
    const { annotations } = parseImageOutput("oci", {
      "annotation.org.example/a.b": "1",
      "annotation-index.k": "2",
      "annotation-manifest-descriptor[linux/arm64/v8].k": "3",
    });
    expect(annotations).toEqual([
      { place: "manifest", platform: undefined, key: "org.example/a.b", value: "1" },
      { place: "index", platform: undefined, key: "k", value: "2" },
      { place: "manifest-descriptor", platform: { os: "linux", architecture: "arm64" }, key: "k", value: "3" },
    ]);
  });

  it.each<[Record<string, string>, string]>([
    [{ compression: "lzma" }, "unsupported compression type lzma"],
    [{ compression: "" }, "unsupported compression type "],
    [
      { compression: "zstd", "oci-mediatypes": "false" },
      'option "compression=zstd" conflicts with "oci-mediatypes=false"',
    ],
    [{ compression: "estargz", "oci-mediatypes": "false" }, '"compression=estargz" conflicts with'],
    [{ compression: "zstd", "compression-level": "23" }, "zstd: invalid compression level: 23, expected 0 to 22"],
    [{ squash: "all" }, 'invalid squash "all"'],
    [{ "compression-level": "x" }, "non-integer value x specified for compression-level"],
    [{ "compression-level": "10" }, "gzip: invalid compression level: 10"],
    [{ "force-compression": "yes" }, "non-bool value specified for force-compression"],
    [{ "oci-mediatypes": "yes" }, "non-bool value specified for oci-mediatypes"],
    [{ "oci-mediatypes": "false", "oci-artifact": "true" }, 'conflicts with "oci-mediatypes=false"'],
    [{ "prefer-nondist-layers": "true" }, "prefer-nondist-layers is not supported yet"],
    [{ tar: "no" }, "non-bool value specified for tar"],
    [{ "source-date-epoch": "now" }, "invalid source-date-epoch"],
    [{ "source-date-epoch": "99999999999999999999" }, "value out of range"],
    [{ "source-date-epoch": "253402300800" }, "no time from 1970 to 9999"],
    [{ "annotation-layer.k": "v" }, "unrecognized annotation type layer"],
    [{ annotation: "v" }, 'unknown option "annotation" of the oci exporter'],
    [{ unpack: "true" }, 'unknown option "unpack" of the oci exporter'],
    [{ constructor: "x" }, 'unknown option "constructor"'],
  ])("%j is refused", (attributes, sentence) => {
    expect(() => parseImageOutput("oci", attributes)).toThrow(sentence);
  });
});

describe("attributes of an image that is stored or pushed", () => {
  it("pack nothing unless it is sent somewhere, or a form is asked for", () => {
    expect(parseStoreOutput({})).toMatchObject({ packed: false, push: false, store: true, unpack: false });
    expect(parseStoreOutput({ push: "" })).toMatchObject({ packed: true, push: true });
    expect(parseStoreOutput({ compression: "gzip" }).packed).toBe(true);
    expect(parseStoreOutput({ name: "*" }).names).toEqual([]);
  });

  it("say how it is named", () => {
    expect(
      parseStoreOutput({
        name: "a,b:1",
        "name-canonical": "true",
        "dangling-name-prefix": "d",
        "danging-name-empty-only": "1",
        "push-by-digest": "true",
        store: "false",
      }),
    ).toMatchObject({
      names: ["a", "b:1"],
      nameCanonical: true,
      dangling: { prefix: "d", onlyWhereNameless: true },
      pushByDigest: true,
      store: false,
    });
  });

  it.each<[Record<string, string>, string]>([
    [{ unpack: "1", "rewrite-timestamp": "1" }, 'exporter option "rewrite-timestamp" conflicts with "unpack"'],
    [{ push: "maybe" }, "non-bool value specified for push"],
    [{ tar: "true" }, 'unknown option "tar" of the image exporter'],
  ])("%j is refused", (attributes, sentence) => {
    expect(() => parseStoreOutput(attributes)).toThrow(sentence);
  });
});

describe("attributes of a directory or an archive of files", () => {
  it("say where files go and when they are dated", () => {
    expect(parseTreeOutput("local", {})).toEqual({
      sourceDateEpoch: undefined,
      platformSplit: undefined,
      attestationPrefix: "",
      existing: "keep",
    });
    expect(parseTreeOutput("local", { "platform-split": "0", "source-date-epoch": "1", mode: "delete" })).toEqual({
      sourceDateEpoch: 1,
      platformSplit: false,
      attestationPrefix: "",
      existing: "delete",
    });
  });

  it.each<[Record<string, string>, string]>([
    [{ "platform-split": "x" }, "non-bool value specified for platform-split"],
    [{ mode: "move" }, 'invalid local exporter mode "move"'],
    [{ compression: "gzip" }, 'unknown option "compression" of the tar exporter'],
  ])("%j is refused", (attributes, sentence) => {
    expect(() => parseTreeOutput("tar", attributes)).toThrow(sentence);
  });
});
