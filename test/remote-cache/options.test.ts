import { expect, test } from "vitest";
import { cacheOptions, parseCacheDestination, parseCacheImport } from "../../src/remote-cache/index.js";

const registry = (attrs: Readonly<Record<string, string>> = {}) =>
  parseCacheDestination({ type: "registry", attrs: { ref: "user/app", ...attrs } });

test("a cache is by default the image's layers, as gzip, listed as an image", () => {
  expect(registry()).toMatchObject({
    reference: { registry: "docker.io", repository: "user/app", tag: "latest" },
    mode: "min",
    imageManifest: true,
    mediaTypes: "oci",
    ignoreError: false,
    form: { compression: "gzip", level: undefined, forceCompression: false },
  });
});

test("all of it can be said otherwise", () => {
  const attrs = {
    mode: "max",
    "oci-mediatypes": "false",
    "ignore-error": "1",
    compression: "zstd",
    "compression-level": "19",
    "force-compression": "t",
  };
  expect(registry(attrs)).toMatchObject({
    mode: "max",
    imageManifest: false,
    mediaTypes: "docker",
    ignoreError: true,
    form: { compression: "zstd", level: 19, forceCompression: true },
  });
});

test("what won't do is refused before anything is built", () => {
  expect(() => registry({ mode: "all" })).toThrow("invalid mode");
  expect(() => registry({ "oci-mediatypes": "false", "image-manifest": "true" })).toThrow(
    "OCI mediatypes are required",
  );
  expect(() => registry({ "compression-level": "x" })).toThrow("invalid compression-level");
  expect(() => registry({ "compression-level": "" })).toThrow("invalid compression-level");
  expect(() => registry({ "ignore-error": "maybe" })).toThrow("failed to parse ignore-error");
  expect(() => parseCacheDestination({ type: "registry" })).toThrow("ref=NAME");
  expect(() => parseCacheImport({ type: "local" })).toThrow("src=DIR");
  expect(() => parseCacheImport({ type: "inline" })).toThrow("there are registry, local, s3, gha");
  expect(() => parseCacheDestination({ type: "azblob" })).toThrow("there are registry, local, inline, s3, gha");
});

test("an empty tag is refused unless a digest says it, and an address is one", () => {
  const place = { dest: "/d", src: "/d", tag: "" };
  const refused = expect.objectContaining({ code: "invalid", message: expect.stringContaining("tag=NAME") });
  expect(() => parseCacheDestination({ type: "local", attrs: place })).toThrow(refused);
  expect(() => parseCacheImport({ type: "local", attrs: place })).toThrow(refused);
  const digest = `sha256:${"0".repeat(64)}`;
  expect(parseCacheImport({ type: "local", attrs: { ...place, digest } })).toMatchObject({ digest });
  const gha = { token: "t", url_v2: "notaurl" };
  expect(() => parseCacheImport({ type: "gha", attrs: gha })).toThrow('invalid url_v2 "notaurl"');
  const s3 = { bucket: "b", region: "r", access_key_id: "k", secret_access_key: "s", use_path_style: "zz" };
  expect(() => parseCacheImport({ type: "s3", attrs: s3 })).toThrow("failed to parse use_path_style");
});

test("each type has its options", () => {
  expect(cacheOptions("registry")).toContain("mode");
  expect(cacheOptions("registry")).not.toContain("dest");
  expect(cacheOptions("azblob")).toBeUndefined();
});
