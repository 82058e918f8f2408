import fs from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import type { ExportStatus } from "../../src/exporters/index.js";
import type { Descriptor } from "../../src/oci/index.js";
import { ARM64, digestsOf, entriesOf, GZIP, image, NOW, Workshop } from "./workshop.js";

let shop: Workshop;
beforeEach(async () => {
  shop = await Workshop.open();
});
afterEach(async () => {
  await shop[Symbol.asyncDispose]();
});

const bytesOf = ({ digest }: Descriptor) => fs.readFileSync(shop.store.path(digest));
const json = (descriptor: Descriptor) => JSON.parse(bytesOf(descriptor).toString());

describe("an image writer", () => {
  it("writes layers, config and manifest that name each other", async () => {
    const tree = await shop.layer(await shop.layer([], "mkdir a; echo a > a/f"), "mkdir b; echo b > b/g");
    const { root, images } = await shop.writer.write([image(tree)], GZIP);
    const [written] = images;
    expect(images).toHaveLength(1);
    expect(root).toEqual(written?.manifest);
    expect(root.platform).toEqual({ os: "linux", architecture: "amd64" });
    const manifest = json(root);
    expect(manifest.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
    expect(manifest.config.digest).toBe(written?.config.digest);
    expect(manifest.layers.map(({ mediaType }: Descriptor) => mediaType)).toEqual(
      Array(2).fill("application/vnd.oci.image.layer.v1.tar+gzip"),
    );
    const diffIds = manifest.layers.map((layer: Descriptor) => digestOf(gunzipSync(bytesOf(layer))));
    expect(json(manifest.config).rootfs).toEqual({ type: "layers", diff_ids: diffIds });
    expect(await shop.writer.diffIdsOf(tree)).toEqual(diffIds);
    expect(shop.temporaries()).toEqual([]);
  });

  it("packs a layer once, whoever asks for it and how often", async () => {
    const base = await shop.layer([], "echo a > a");
    const [one, two] = [await shop.layer(base, "echo b > b"), await shop.layer(base, "echo c > c")];
    const first = await shop.writer.write([image(one), image(two, {}, ARM64)], GZIP);
    expect(shop.packed.sort()).toEqual([...new Set([...one, ...two])].sort());
    const second = await shop.writer.write([image(one), image(two, {}, ARM64)], GZIP);
    expect(second).toEqual(first);
    expect(shop.packed).toHaveLength(3);
  });

  it("packs a layer again if its blob is gone, and gets the same one", async () => {
    const tree = await shop.layer([], "echo a > a");
    const first = await shop.writer.write([image(tree)], GZIP);
    for (const { descriptor } of first.images[0]?.layers ?? []) await shop.store.delete(descriptor.digest);
    expect(await shop.writer.write([image(tree)], GZIP)).toEqual(first);
    expect(shop.packed).toEqual([...tree, ...tree]);
  });

  it("refuses a layer that has changed on disk", async () => {
    const tree = await shop.layer([], "echo a > a");
    await shop.writer.diffIdsOf(tree);
    fs.writeFileSync(`${shop.dirs.layers}/${tree[0]}/fs/a`, "other");
    await expect(shop.writer.write([image(tree)], GZIP)).rejects.toMatchObject({ code: "data-loss" });
    expect(shop.temporaries()).toEqual([]);
  });

  it("takes a base image's layer as it is, and fetches it only where it must be complete", async () => {
    const remote = shop.remoteLayer("mkdir bin; echo b > bin/b");
    const tree = await shop.layer(await shop.layers.adopt([remote], "build"), "echo a > a");
    const based = image(tree, { rootfs: { type: "layers", diff_ids: [remote.diffId] } });
    const lazy = await shop.writer.write([based], { ...GZIP, complete: false });
    expect(shop.fetched).toEqual([]);
    const [layer] = lazy.images[0]?.layers ?? [];
    expect(layer).toEqual({
      descriptor: { ...remote.descriptor, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" },
      diffId: remote.diffId,
    });
    expect(await shop.writer.write([based], GZIP)).toEqual(lazy);
    expect(shop.fetched).toEqual([remote.descriptor.digest]);
    expect(shop.packed).toEqual([tree[1]]);
  });

  it("packs a base image's layer anew where that is asked for, without changing what is in it", async () => {
    const remote = shop.remoteLayer("mkdir bin; echo b > bin/b");
    const tree = await shop.layers.adopt([remote], "build");
    const options = { ...GZIP, compression: "uncompressed", forceCompression: true } as const;
    const written = await shop.writer.write([image(tree)], options);
    const [layer] = written.images[0]?.layers ?? [];
    expect(layer?.descriptor).toMatchObject({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: remote.diffId,
    });
    expect(layer?.diffId).toBe(remote.diffId);
    expect(digestOf(bytesOf(layer?.descriptor as Descriptor))).toBe(remote.diffId);
    expect(await shop.writer.write([image(tree)], options)).toEqual(written);
    expect(shop.fetched).toHaveLength(1);
  });

  it("writes Docker's types where they are asked for", async () => {
    const tree = await shop.layer([], "echo a > a");
    const { root } = await shop.writer.write([image(tree)], { ...GZIP, mediaTypes: "docker" });
    const manifest = json(root);
    expect([root.mediaType, manifest.config.mediaType, manifest.layers[0].mediaType]).toEqual([
      "application/vnd.docker.distribution.manifest.v2+json",
      "application/vnd.docker.container.image.v1+json",
      "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ]);
  });

  it("lists images for several platforms in an index, in their order", async () => {
    const tree = await shop.layer([], "echo a > a");
    const { root, images } = await shop.writer.write([image(tree, {}, ARM64), image(tree)], GZIP);
    const index = json(root);
    expect(root.mediaType).toBe("application/vnd.oci.image.index.v1+json");
    expect(index.manifests.map(({ platform }: Descriptor) => platform?.architecture)).toEqual(["arm64", "amd64"]);
    expect(index.manifests.map(({ digest }: Descriptor) => digest)).toEqual(
      images.map(({ manifest }) => manifest.digest),
    );
  });

  it("puts annotations where they belong", async () => {
    const tree = await shop.layer([], "echo a > a");
    const place = (place: string, key: string, platform?: typeof ARM64) => ({ place, key, value: key, platform });
    const annotations = [
      place("index", "i"),
      place("index-descriptor", "id"),
      place("manifest", "m"),
      place("manifest", "arm", ARM64),
      place("manifest-descriptor", "md"),
    ] as never;
    const { root, images } = await shop.writer.write([image(tree), image(tree, {}, ARM64)], { ...GZIP, annotations });
    expect(root.annotations).toEqual({ id: "id" });
    expect(json(root).annotations).toEqual({ i: "i" });
    expect(images.map(({ manifest }) => manifest.annotations)).toEqual([{ md: "md" }, { md: "md" }]);
    expect(images.map(({ manifest }) => json(manifest).annotations)).toEqual([{ m: "m" }, { arm: "arm", m: "m" }]);
    const single = (place: string, platform?: typeof ARM64) =>
      shop.writer.write([image(tree)], { ...GZIP, annotations: [{ place, key: "k", value: "v", platform }] as never });
    await expect(single("index")).rejects.toThrow("index annotations not supported for single platform export");
    await expect(single("manifest", ARM64)).rejects.toThrow(
      "invalid annotation: no platform linux/arm64 found in source",
    );
  });

  it("sets times in layers of its own back to the epoch where they are rewritten, and keeps both blobs", async () => {
    const tree = await shop.layer([], "echo a > new; echo b > old; touch -d 2001-01-01T00:00:00Z old");
    const plain = await shop.writer.write([image(tree)], GZIP);
    const options = { ...GZIP, sourceDateEpoch: Date.UTC(2010, 0) / 1000 };
    expect(digestsOf((await shop.writer.write([image(tree)], options)).images[0]?.layers ?? [])).toEqual(
      digestsOf(plain.images[0]?.layers ?? []),
    );
    const rewritten = await shop.writer.write([image(tree)], { ...options, rewriteTimestamp: true });
    const [layer] = rewritten.images[0]?.layers ?? [];
    const archive = shop.path("layer.tar");
    fs.writeFileSync(archive, gunzipSync(bytesOf(layer?.descriptor as Descriptor)));
    expect(entriesOf(archive).map((line) => line.split(/\s+/).slice(3))).toEqual([
      ["2010-01-01", "00:00", "new"],
      ["2001-01-01", "00:00", "old"],
    ]);
    expect(await shop.writer.write([image(tree)], GZIP)).toEqual(plain);
    expect(shop.packed).toHaveLength(2);
  });

  it("dates what has no time by its layer", async () => {
    const tree = await shop.layer([], "echo a > a");
    const { images } = await shop.writer.write([image(tree)], GZIP);
    const config = json(images[0]?.config as Descriptor);
    expect(config.created).toBe("2024-05-06T07:08:09.01Z");
    expect(Date.parse(config.history[0].created)).toBe(NOW);
  });

  it("says what it does, in BuildKit's words", async () => {
    const tree = await shop.layer([], "echo a > a");
    const seen: ExportStatus[] = [];
    const { images } = await shop.writer.write([image(tree)], { ...GZIP, onProgress: (status) => seen.push(status) });
    const [written] = images;
    expect(seen.filter(({ done }) => done).map(({ id }) => id)).toEqual([
      "exporting layers",
      `exporting manifest ${written?.manifest.digest}`,
      `exporting config ${written?.config.digest}`,
    ]);
  });

  it("leaves nothing behind when it is aborted", async () => {
    const tree = await shop.layer([], "echo a > a; head -c 30000000 /dev/urandom > big");
    const controller = new AbortController();
    const onProgress = ({ current }: ExportStatus) => current !== undefined && controller.abort();
    const { signal } = controller;
    await expect(shop.writer.write([image(tree)], { ...GZIP, onProgress, signal })).rejects.toMatchObject({
      code: "canceled",
    });
    expect(shop.temporaries()).toEqual([]);
    expect(fs.existsSync(`${shop.dirs.blobs}/sha256`)).toBe(false);
  });
});
