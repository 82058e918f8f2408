import fs from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exportOci, parseImageOutput, type StoredImages, storeImage } from "../../src/exporters/index.js";
import { ARM64, GZIP, image, Workshop } from "./workshop.js";

let shop: Workshop;
beforeEach(async () => {
  shop = await Workshop.open();
});
afterEach(async () => {
  await shop[Symbol.asyncDispose]();
});

const store = (images: Parameters<typeof storeImage>[1], ...names: string[]) =>
  storeImage(shop, images, { names, mediaTypes: "oci" });

/** The tree that a later `FROM` of the stored image gets. */
const adopted = ({ images }: StoredImages) =>
  shop.layers.adopt(
    (images[0]?.layers ?? []).map((layer) => ({ ...layer, origin: "store" })),
    "later",
  );

describe("a stored image", () => {
  it("is found by its names, with its id, and has no layer blobs", async () => {
    const tree = await shop.layer(await shop.layer([], "echo a > a"), "echo b > b");
    const ids: string[] = [];
    const stored = await storeImage(shop, [image(tree)], {
      names: ["hello", "reg.example/x:1"],
      mediaTypes: "oci",
      onProgress: ({ id, done }) => done && ids.push(id),
    });
    expect(stored.names).toEqual(["docker.io/library/hello:latest", "reg.example/x:1"]);
    expect(ids.slice(-2)).toEqual(["naming to docker.io/library/hello:latest", "naming to reg.example/x:1"]);
    const found = shop.images.get("hello");
    expect(found).toMatchObject({ target: stored.root, platforms: [{ imageId: stored.images[0]?.config.digest }] });
    const layers = stored.images[0]?.layers ?? [];
    for (const { descriptor, diffId } of layers) {
      expect(descriptor).toMatchObject({ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: diffId });
      expect(await shop.store.info(descriptor.digest)).toBeUndefined();
    }
    expect(await adopted(stored)).toEqual(tree);
  });

  it("has the id that its export has", async () => {
    const tree = await shop.layer([], "echo a > a");
    const stored = await store([image(tree)], "hello");
    const { images } = await shop.writer.write([image(tree)], GZIP);
    expect(images[0]?.config).toEqual(stored.images[0]?.config);
    expect(await store([image(tree)], "hello")).toMatchObject({ root: { digest: images[0]?.manifest.digest } });
  });

  it("can be built upon and exported, its layers packed then", async () => {
    const tree = await shop.layer([], "echo a > a");
    const stored = await store([image(tree)], "hello");
    const next = await shop.layer(await adopted(stored), "echo b > b");
    const request = { images: [image(next)], names: [], output: parseImageOutput("oci", {}) };
    await exportOci(shop, { ...request, destination: shop.path("out.tar") });
    expect(fs.statSync(shop.path("out.tar")).size).toBeGreaterThan(0);
  });

  it("keeps a layer as a blob that another image has in another place", async () => {
    const [lower, upper] = [await shop.layer([], "echo a > a"), await shop.layer([], "echo b > b")];
    await store([image(upper)], "alone");
    const stored = await store([image([...lower, ...upper])], "both");
    const tree = await adopted(stored);
    expect(tree[0]).toBe(lower[0]);
    expect(tree[1]).not.toBe(upper[0]);
    const [, layer] = stored.images[0]?.layers ?? [];
    expect(await shop.store.info(layer?.descriptor.digest ?? stored.root.digest)).toBeDefined();
  });

  it("may have several platforms", async () => {
    const tree = await shop.layer([], "echo a > a");
    const stored = await store([image(tree), image(tree, {}, ARM64)], "hello");
    const found = shop.images.get("hello");
    expect(found?.platforms.map(({ manifest }) => manifest.platform?.architecture)).toEqual(["amd64", "arm64"]);
    expect(found?.target).toEqual(stored.root);
  });

  it("gets no malformed name", async () => {
    await expect(store([image([])], "Wrong")).rejects.toThrow("must be lowercase");
    expect(shop.images.list()).toEqual([]);
  });
});
