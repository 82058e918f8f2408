import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, hexOf } from "../../src/base/index.js";
import { type Descriptor, MediaType, parseReference } from "../../src/oci/index.js";
import {
  createImageStore,
  createReferenceStore,
  type Database,
  type ImageStore,
  imageStoreMigrations,
  openDatabase,
  type ReferenceStore,
  referenceStoreMigrations,
} from "../../src/store/index.js";

let root: string;
let database: Database;
let images: ImageStore;
let references: ReferenceStore;
let now: number;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "images-"));
  database = await openDatabase(path.join(root, "metadata.db"), [...imageStoreMigrations, ...referenceStoreMigrations]);
  now = 1000;
  images = createImageStore(database, { now: () => now });
  references = createReferenceStore(database, { now: () => now });
});
afterEach(async () => {
  database.close();
  await rm(root, { recursive: true, force: true });
});

const manifest = (content: string, variant?: string): Descriptor => ({
  mediaType: MediaType.ociManifest,
  digest: digestOf(content),
  size: content.length,
  platform: { os: "linux", architecture: "arm", ...(variant ? { variant } : {}) },
});
const image = (name: string, content = name) => ({
  name,
  target: manifest(content),
  platforms: [
    { imageId: digestOf(`${content} config`), manifest: manifest(content, "v7") },
    { imageId: digestOf(`${content} config 2`), manifest: manifest(`${content} 2`) },
  ],
});

describe("the image store", () => {
  it("keeps images under their full names, whatever the spelling", async () => {
    const stored = await images.put(image("hello"));
    expect(stored).toEqual({ ...image("hello"), name: "docker.io/library/hello:latest", updatedAt: 1000 });
    for (const name of ["hello", "hello:latest", "docker.io/hello", "index.docker.io/library/hello:latest"]) {
      expect(images.get(name)).toEqual(stored);
    }
    expect(images.get("hello:1")).toBeUndefined();
    expect(() => images.get("Hello")).toThrow("must be lowercase");
  });

  it("gives a name to another image", async () => {
    await images.put(image("hello", "old"));
    now = 2000;
    await images.put({ ...image("hello", "new"), platforms: [] });
    expect(images.get("hello")).toMatchObject({ target: manifest("new"), platforms: [], updatedAt: 2000 });
    expect(images.list().map(({ name }) => name)).toEqual([undefined, "docker.io/library/hello:latest"]);
    expect(images.find(hexOf(digestOf("old config")))).toMatchObject([{ name: undefined, updatedAt: 1000 }]);
  });

  it("keeps an image that has lost its name, until it gets one again or is removed", async () => {
    await images.put(image("hello", "old"));
    await images.put(image("hello", "new"));
    expect(images.find(manifest("old").digest)).toMatchObject([{ name: undefined, target: manifest("old") }]);
    await images.put(image("again", "old"));
    expect(images.find(manifest("old").digest)).toMatchObject([{ name: "docker.io/library/again:latest" }]);
    await images.put(image("again", "new"));
    expect(await images.removeNameless(manifest("old").digest)).toBe(true);
    expect(await images.removeNameless(manifest("old").digest)).toBe(false);
    expect(images.list().map(({ name }) => name)).toEqual([
      "docker.io/library/again:latest",
      "docker.io/library/hello:latest",
    ]);
  });

  it("keeps no second one of an image that has another name, or the same name under another manifest", async () => {
    await images.put(image("hello", "old"));
    await images.put(image("other", "old"));
    await images.put(image("hello", "new"));
    expect(images.list()).toHaveLength(2);
    await images.put({ ...image("hello", "new"), target: manifest("repacked") });
    expect(images.list()).toHaveLength(2);
    expect(images.superseded).toEqual([manifest("new")]);
    await images.keep(image("", "new"));
    expect(images.list()).toHaveLength(2);
    await images.keep(image("", "alone"));
    expect(images.list()).toMatchObject([{ name: undefined, target: manifest("alone") }, {}, {}]);
  });

  it("keeps the last of several manifests of an image without a name, and none of an image that gets one", async () => {
    await images.keep(image("", "one"));
    await images.keep({ ...image("", "one"), target: manifest("repacked") });
    expect(images.list()).toMatchObject([{ name: undefined, target: manifest("repacked") }]);
    await images.put(image("hello", "one"));
    expect(images.list()).toMatchObject([{ name: "docker.io/library/hello:latest", target: manifest("one") }]);
    expect(images.superseded).toEqual([manifest("one"), manifest("repacked")]);
  });

  it("lists by name, finds by the beginning of an id, and removes", async () => {
    await images.put(image("b"));
    await images.put(image("a"));
    await images.put(image("a:2", "b"));
    expect(images.list().map(({ name }) => name)).toEqual([
      "docker.io/library/a:2",
      "docker.io/library/a:latest",
      "docker.io/library/b:latest",
    ]);
    const id = digestOf("b config 2");
    for (const prefix of [id, hexOf(id), hexOf(id).slice(0, 12)]) {
      expect(images.find(prefix).map(({ name }) => name)).toEqual([
        "docker.io/library/a:2",
        "docker.io/library/b:latest",
      ]);
    }
    expect(images.find("%")).toEqual([]);
    expect(images.find("")).toEqual([]);
    expect(await images.remove("a:2")).toBe(true);
    expect(await images.remove("a:2")).toBe(false);
    expect(images.list()).toHaveLength(2);
    expect(images.find(id)).toHaveLength(1);
  });
});

describe("the reference store", () => {
  it("remembers what a reference stood for", async () => {
    const reference = parseReference("alpine:3");
    expect(references.get(reference)).toBeUndefined();
    await references.put(reference, manifest("one"));
    now = 2000;
    await references.put(reference, manifest("two", "v6"));
    const expected = { name: "docker.io/library/alpine:3", target: manifest("two", "v6"), resolvedAt: 2000 };
    expect(references.get(reference)).toEqual(expected);
    expect(references.list()).toEqual([expected]);
    await references.remove(expected.name);
    expect(references.list()).toEqual([]);
  });
});
