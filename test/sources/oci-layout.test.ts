import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, hexOf } from "../../src/base/index.js";
import { encodeIndex, MediaType, readAll } from "../../src/oci/index.js";
import { parseLayoutIdentifier, resolveLayoutImage } from "../../src/sources/index.js";
import { rootOf, testImage, testIndex } from "../registry/docker-registry.js";

const AMD64 = { os: "linux", architecture: "amd64" };
const DIGEST = digestOf("x");

describe("parseLayoutIdentifier", () => {
  it.each([
    ["oci-layout:///a/b", { dir: "/a/b", tag: "latest" }],
    ["oci-layout:///a/b:1.2", { dir: "/a/b", tag: "1.2" }],
    ["oci-layout:///a:b/c", { dir: "/a:b/c", tag: "latest" }],
    [`oci-layout:///a/b:1@${DIGEST}`, { dir: "/a/b", tag: "1", digest: DIGEST }],
    [`oci-layout:///a@b/c@${DIGEST}`, { dir: "/a@b/c", tag: "latest", digest: DIGEST }],
  ])("reads %s", (identifier, expected) => {
    expect(parseLayoutIdentifier(identifier)).toEqual(expected);
  });

  it.each(["oci-layout://a/b", "oci-layout://", "docker-image://a", "/a", "oci-layout:///a@sha256:12"])(
    "refuses %s",
    (identifier) => {
      expect(() => parseLayoutIdentifier(identifier)).toThrow(expect.objectContaining({ code: "invalid" }));
    },
  );
});

describe("resolveLayoutImage", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "layout-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const amd64 = testImage(["layer"], AMD64);
  const image = testIndex([amd64, testImage(["other"], { os: "linux", architecture: "arm64" })]);
  const write = async (): Promise<void> => {
    await mkdir(path.join(dir, "blobs/sha256"), { recursive: true });
    const blobs = [...image.blobs, ...image.documents.map(({ bytes }) => bytes)];
    for (const blob of blobs) await writeFile(path.join(dir, "blobs/sha256", hexOf(digestOf(blob))), blob);
    const entry = { ...rootOf(image), annotations: { "org.opencontainers.image.ref.name": "latest" } };
    await writeFile(path.join(dir, "index.json"), encodeIndex({ mediaType: MediaType.ociIndex, manifests: [entry] }));
  };

  it("finds the platform's image by tag, by digest, or as the only one", async () => {
    await write();
    for (const suffix of ["", ":latest", ":other", `@${rootOf(image).digest}`, `@${rootOf(amd64).digest}`]) {
      const found = await resolveLayoutImage(`oci-layout://${dir}${suffix}`, AMD64);
      expect(found.manifest.digest).toBe(rootOf(amd64).digest);
      const [layer] = found.layers;
      if (layer === undefined) throw new Error("expected a layer");
      expect((await readAll(found.provider, layer.descriptor, 100)).toString()).toBe("layer");
    }
  });

  it("says what could not be resolved", async () => {
    await expect(resolveLayoutImage(`oci-layout://${dir}/nowhere:latest`, AMD64)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining(
        `oci-layout reference "oci-layout://${dir}/nowhere:latest" could not be resolved: `,
      ),
    });
    await write();
    await expect(
      resolveLayoutImage(`oci-layout://${dir}`, { os: "linux", architecture: "s390x" }),
    ).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("no match for platform in manifest"),
    });
  });
});
