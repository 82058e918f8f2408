import fs from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Attestation } from "../../src/attest/index.js";
import { digestOf } from "../../src/base/index.js";
import { exportLocal, exportTar, parseTreeOutput, storeImage } from "../../src/exporters/index.js";
import type { Descriptor } from "../../src/oci/index.js";
import { AMD64, ARM64, GZIP, image, run, Workshop } from "./workshop.js";

let shop: Workshop;
beforeEach(async () => {
  shop = await Workshop.open();
});
afterEach(async () => {
  await shop[Symbol.asyncDispose]();
});

const json = ({ digest }: Descriptor) => JSON.parse(fs.readFileSync(shop.store.path(digest), "utf8"));
const said = (fileName: string, inlineOnly = false): Attestation => ({
  fileName,
  inlineOnly,
  predicateType: `https://example.com/${fileName}`,
  predicate: (layers) => ({ layers: layers.length }),
});

it("what is said of an only image makes an index of it, where it stands behind the image", async () => {
  const tree = await shop.layer([], "echo a > a");
  const attested = { ...image(tree), attestations: [said("one"), said("two")] };
  const { root, images } = await shop.writer.write([attested], { ...GZIP, names: ["docker.io/library/app:1"] });
  const [manifest, about] = json(root).manifests;
  expect(manifest).toEqual({ ...images[0]?.manifest, platform: { ...AMD64 } });
  expect(about).toMatchObject({
    platform: { os: "unknown", architecture: "unknown" },
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": manifest.digest,
    },
  });
  const { platform: _, ...subject } = manifest;
  expect(json(about)).toMatchObject({
    artifactType: "application/vnd.docker.attestation.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2 },
    subject,
  });
  const [first] = json(about).layers;
  expect(first).toMatchObject({
    mediaType: "application/vnd.in-toto+json",
    annotations: { "in-toto.io/predicate-type": "https://example.com/one" },
  });
  expect(json(first)).toEqual({
    _type: "https://in-toto.io/Statement/v1",
    predicateType: "https://example.com/one",
    subject: [{ name: "pkg:docker/app@1?platform=linux%2Famd64", digest: { sha256: manifest.digest.slice(7) } }],
    predicate: { layers: 1 },
  });
});

it("an image without an index stays one where what is said of it is for indexes only", async () => {
  const tree = await shop.layer([], "echo a > a");
  const attested = { ...image(tree), attestations: [said("one", true)] };
  const { root, images } = await shop.writer.write([attested], { ...GZIP, inlineAttestations: false });
  expect(root).toEqual(images[0]?.manifest);
  const two = [attested, { ...image(tree, {}, ARM64), attestations: [said("one", true)] }];
  const several = await shop.writer.write(two, { ...GZIP, inlineAttestations: false });
  expect(json(several.root).manifests).toHaveLength(4);
});

it("statements can be the layers of an image, for registries that take nothing else", async () => {
  const tree = await shop.layer([], "echo a > a");
  const attested = { ...image(tree), attestations: [said("one")] };
  const { root } = await shop.writer.write([attested], { ...GZIP, ociArtifact: false });
  const about = json(json(root).manifests[1]);
  expect(about).not.toHaveProperty("subject");
  expect(json(about.config)).toMatchObject({
    os: "unknown",
    rootfs: { diff_ids: about.layers.map(({ digest }: Descriptor) => digest) },
  });
});

it("Docker's manifests have no place for what is said of an image", async () => {
  const tree = await shop.layer([], "echo a > a");
  const attested = { ...image(tree), attestations: [said("one")] };
  await expect(shop.writer.write([attested], { ...GZIP, mediaTypes: "docker" })).rejects.toThrow(
    'cannot export attestations with "oci-mediatypes=false"',
  );
});

it("stands beside files as a file, about all of them", async () => {
  const tree = await shop.layer([], "mkdir d; echo a > d/a; ln -s a d/link");
  const images = [{ ...image(tree), attestations: [said("one.json"), said("inline.json", true)] }];
  const output = parseTreeOutput("local", { "attestation-prefix": "p-" });
  const [directory, archive] = [shop.path("out"), shop.path("out.tar")];
  await exportLocal(shop, { images, destination: directory, output });
  expect(fs.readdirSync(directory).sort()).toEqual(["d", "p-one.json"]);
  expect(fs.statSync(`${directory}/p-one.json`).mode & 0o777).toBe(0o600);
  const statement = JSON.parse(fs.readFileSync(`${directory}/p-one.json`, "utf8"));
  expect(statement.subject).toEqual([{ name: "d/a", digest: { sha256: digestOf("a\n").slice(7) } }]);
  await exportTar(shop, { images, destination: archive, output });
  expect(JSON.parse(run("tar", "-xOf", archive, "p-one.json"))).toEqual(statement);
});

it("names that are no files' names are refused", async () => {
  const tree = await shop.layer([], "echo a > a");
  const destination = shop.path("out");
  const write = (prefix: string, ...names: string[]) => {
    const images = [{ ...image(tree), attestations: names.map((name) => said(name)) }];
    return exportLocal(shop, {
      images,
      destination,
      output: parseTreeOutput("local", { "attestation-prefix": prefix }),
    });
  };
  await expect(write("../", "a")).rejects.toThrow("is no name of a file");
  await expect(write("", "a", "x/a")).rejects.toThrow("duplicate attestation path name a");
});

it("images that are packed for a registry keep their names, and are found by their layers unless those were changed", async () => {
  const tree = await shop.layer([], "echo a > a");
  const options = { names: ["app"], mediaTypes: "oci" } as const;
  const zstd = { ...GZIP, compression: "zstd" } as const;
  const stored = await storeImage(shop, [image(tree)], { ...options, packing: zstd, canonical: true });
  expect(stored.images[0]?.layers[0]?.descriptor.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+zstd");
  expect(shop.images.get("app")?.target.digest).toBe(stored.root.digest);
  expect(shop.images.get(`app:latest@${stored.root.digest}`)?.target.digest).toBe(stored.root.digest);
  const [layer] = stored.images[0]?.layers ?? [];
  const adopted = await shop.layers.adopt(layer ? [{ ...layer, origin: "x" }] : [], "build");
  expect(adopted).toEqual(tree);
  const estargz = { ...GZIP, compression: "estargz" } as const;
  const other = await storeImage(shop, [image(tree)], { ...options, packing: estargz });
  const [changed] = other.images[0]?.layers ?? [];
  expect(changed?.diffId).not.toBe(layer?.diffId);
  expect(changed?.descriptor.annotations).toHaveProperty(["containerd.io/snapshot/stargz/toc.digest"]);
  expect(await shop.writer.diffIdsOf(tree)).toEqual([layer?.diffId]);
  expect(await shop.layers.adopt(changed ? [{ ...changed, origin: "x" }] : [], "build")).not.toEqual(tree);
});

it("a base image's layer is packed anew by zstd and eStargz where that is forced", async () => {
  const remote = shop.remoteLayer("mkdir bin; echo b > bin/b");
  const tree = await shop.layers.adopt([remote], "build");
  for (const compression of ["zstd", "estargz"] as const) {
    const options = { ...GZIP, compression, forceCompression: true };
    const { images } = await shop.writer.write([image(tree)], options);
    const [layer] = images[0]?.layers ?? [];
    expect(layer?.descriptor.digest).not.toBe(remote.descriptor.digest);
    expect(layer?.diffId === remote.diffId).toBe(compression === "zstd");
    expect((await shop.writer.write([image(tree)], options)).images[0]?.layers).toEqual([layer]);
  }
});
