import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EngineError, systemClock } from "../../src/base/index.js";
import {
  type Descriptor,
  encodeIndex,
  formatPlatform,
  MediaType,
  type Platform,
  readAll,
} from "../../src/oci/index.js";
import { createRegistry, type Registry } from "../../src/registry/index.js";
import { createImageSource, type ImageSource, selectImage } from "../../src/sources/index.js";
import {
  type ContentStore,
  createContentStore,
  createImageStore,
  createReferenceStore,
  type Database,
  type ImageStore,
  imageStoreMigrations,
  openDatabase,
  referenceStoreMigrations,
} from "../../src/store/index.js";
import {
  descriptorOf,
  hasDockerRegistry,
  rootOf,
  startRegistry,
  type TestImage,
  type TestRegistry,
  testImage,
  testIndex,
} from "../registry/docker-registry.js";

const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64" };
const ARM_V6 = { os: "linux", architecture: "arm", variant: "v6" };
const ARM_V7 = { os: "linux", architecture: "arm", variant: "v7" };
const S390X = { os: "linux", architecture: "s390x" };

const amd64 = testImage(["base", "amd64"], AMD64, { for: "amd64" });
const armV6 = testImage(["base", "arm"], ARM_V6, { for: "arm/v6" });
const index = testIndex([armV6, amd64]);

/** A registry that nobody may ask for anything. */
const noRegistry: Registry = {
  repository: () => {
    const refuse = (): never => {
      throw new EngineError("internal", "the registry was asked");
    };
    const writing = { putBlob: refuse, putManifest: refuse };
    return { name: "none", resolve: refuse, read: refuse, sizeOf: refuse, referrers: refuse, tags: refuse, ...writing };
  },
  ping: () => Promise.reject(new EngineError("internal", "the registry was asked")),
  [Symbol.asyncDispose]: async () => undefined,
};

let root: string;
let database: Database;
let content: ContentStore;
let images: ImageStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "sources-"));
  database = await openDatabase(path.join(root, "metadata.db"), [...imageStoreMigrations, ...referenceStoreMigrations]);
  content = createContentStore(root, systemClock);
  images = createImageStore(database, systemClock);
});
afterEach(async () => {
  database.close();
  await rm(root, { recursive: true, force: true });
});
const over = (registry: Registry, onFetch?: (target: Descriptor, bytes: number) => void): ImageSource =>
  createImageSource({ images, references: createReferenceStore(database, systemClock), content, registry, onFetch });
async function* once(bytes: Uint8Array) {
  yield bytes;
}
async function store(image: TestImage): Promise<void> {
  for (const blob of image.blobs) await content.ingest(once(blob), { mediaType: "x" });
  for (const { bytes } of image.documents) await content.ingest(once(bytes), { mediaType: "x" });
}
async function storeAs(name: string, image: TestImage): Promise<void> {
  await store(image);
  await images.put({ name, target: rootOf(image), platforms: [] });
}
const labelOf = async (source: ImageSource, name: string, platform: Platform): Promise<unknown> =>
  (await source.resolve(name, platform)).config.config.Labels?.for;

describe("an image of the image store", () => {
  it("is found under any spelling of its name, without a network", async () => {
    await storeAs("app", index);
    const found = await over(noRegistry).resolve("docker.io/library/app:latest", AMD64);
    expect(found.root).toEqual(rootOf(index));
    expect(found.manifest).toEqual(rootOf(amd64));
    expect(found.config.config.Labels).toEqual({ for: "amd64" });
    expect(found.layers.map(({ diffId }) => diffId)).toEqual(
      amd64.blobs.slice(0, 2).map((blob) => descriptorOf("", blob).digest),
    );
    const [, layer] = found.layers;
    if (layer === undefined) throw new Error("expected two layers");
    expect((await readAll(found.provider, layer.descriptor, 100)).toString()).toBe("amd64");
  });

  it("is found by its digest", async () => {
    await storeAs("app", index);
    const pinned = `elsewhere.example/app:1@${rootOf(index).digest}`;
    expect(await labelOf(over(noRegistry), pinned, AMD64)).toBe("amd64");
  });

  it("is chosen for the platform: the closest that can run there", async () => {
    await storeAs("app", index);
    await storeAs("plain", amd64);
    const source = over(noRegistry);
    expect(await labelOf(source, "app", ARM_V7)).toBe("arm/v6");
    expect(await labelOf(source, "app", ARM64)).toBe("arm/v6");
    expect(await labelOf(source, "app", { ...AMD64, variant: "v3" })).toBe("amd64");
    expect(await labelOf(source, "plain", ARM64)).toBe("amd64");
  });

  it("is the newest variant that can run there, wherever it stands in the index", async () => {
    const variants = [AMD64, { ...AMD64, variant: "v2" }, ARM_V6, ARM_V7, { ...ARM_V7, variant: "v8" }];
    const all = variants.map((platform) => testImage(["base"], platform, { for: formatPlatform(platform) }));
    await storeAs("all", testIndex(all));
    const source = over(noRegistry);
    for (const [wanted, given] of [
      [AMD64, "linux/amd64"],
      [{ ...AMD64, variant: "v2" }, "linux/amd64/v2"],
      [{ ...AMD64, variant: "v3" }, "linux/amd64/v2"],
      [ARM_V6, "linux/arm/v6"],
      [ARM_V7, "linux/arm/v7"],
    ] as const)
      expect(await labelOf(source, "all", wanted)).toBe(given);
  });
});

describe("selectImage", () => {
  it.each([
    ["emptied", (file: string) => truncate(file, 0)],
    ["changed", (file: string) => writeFile(file, "x", { flag: "r+" })],
    ["lost", (file: string) => rm(file)],
  ])("is said to be damaged where a document was %s that no registry has", async (_, damage) => {
    await storeAs("app", amd64);
    const { manifest } = await over(noRegistry).resolve("app", AMD64);
    await damage(content.path(manifest.digest));
    await expect(over(noRegistry).resolve("app", AMD64)).rejects.toMatchObject({
      code: "data-loss",
      message: expect.stringMatching(/^the image app:latest of this machine is damaged \(.*the registry was asked$/),
      hint: "build or pull app:latest again",
    });
  });

  it("says that there is nothing for the platform", async () => {
    await store(index);
    await expect(selectImage(content, rootOf(index), S390X)).rejects.toMatchObject({
      code: "not-found",
      message: `no match for platform in manifest ${rootOf(index).digest}: linux/s390x not found`,
    });
  });

  const indexOver = async (manifests: readonly Descriptor[]): Promise<Descriptor> => {
    const bytes = encodeIndex({ mediaType: MediaType.ociIndex, manifests });
    return content.ingest(once(bytes), descriptorOf(MediaType.ociIndex, bytes));
  };

  it("asks configs where an index tells no platforms", async () => {
    await store(index);
    const silent = [armV6, amd64].map((image) => {
      const { platform: _, ...descriptor } = rootOf(image);
      return descriptor;
    });
    const found = await selectImage(content, await indexOver(silent), AMD64);
    expect(found.manifest.digest).toBe(rootOf(amd64).digest);
    await expect(selectImage(content, await indexOver(silent), S390X)).rejects.toMatchObject({ code: "not-found" });
  });

  it("follows indexes in indexes, but not for long", async () => {
    await store(index);
    const nested = await indexOver([{ ...rootOf(index), platform: AMD64 }]);
    expect((await selectImage(content, nested, AMD64)).manifest.digest).toBe(rootOf(amd64).digest);
    let deep = nested;
    for (let level = 0; level < 3; level++) deep = await indexOver([{ ...deep, platform: AMD64 }]);
    await expect(selectImage(content, deep, AMD64)).rejects.toMatchObject({ code: "invalid" });
  });
});

it("a name that is none is refused as it was written", async () => {
  await expect(over(noRegistry).resolve("App:1", AMD64)).rejects.toMatchObject({
    code: "invalid",
    message: "App:1: invalid reference format: repository name (library/App) must be lowercase",
  });
});

describe.skipIf(!hasDockerRegistry)("an image of a registry", () => {
  let server: TestRegistry;
  let registry: Registry;
  beforeAll(async () => {
    server = await startRegistry("plain");
    await server.put("app", "one", index);
  });
  afterAll(() => server?.stop());
  beforeEach(() => {
    registry = createRegistry({ clock: systemClock, retryDelaysMs: [] });
  });
  afterEach(() => registry[Symbol.asyncDispose]());

  it("is asked for once, and known from then on without a network", async () => {
    const name = `${server.name}/app:one`;
    const fetched: string[] = [];
    const source = over(registry, (target) => fetched.push(target.mediaType));
    const [first, again] = await Promise.all([source.resolve(name, AMD64), source.resolve(name, AMD64)]);
    expect(first.root).toEqual(rootOf(index));
    expect(again).toBe(first);
    expect(new Set(fetched)).toEqual(new Set([MediaType.ociIndex, MediaType.ociManifest, MediaType.ociConfig]));
    const offline = over(noRegistry);
    expect(await labelOf(offline, name, AMD64)).toBe("amd64");
    expect(await labelOf(offline, `${name}@${first.root.digest}`, AMD64)).toBe("amd64");
    await expect(offline.resolve(name, ARM_V6)).rejects.toThrow("the registry was asked");
    expect(await labelOf(source, name, ARM_V6)).toBe("arm/v6");
  });

  it("fetches its layers when they are read, and keeps them", async () => {
    const { layers, provider } = await over(registry).resolve(`${server.name}/app:one`, AMD64);
    for (const { descriptor } of layers) {
      expect(await content.info(descriptor.digest)).toBeUndefined();
      await readAll(provider, descriptor, 100);
      expect(await content.info(descriptor.digest)).toBeDefined();
    }
  });

  it("is asked for again with pull, and then replaces what was known", async () => {
    const name = `${server.name}/moving:latest`;
    await server.put("moving", "latest", testImage(["1"], AMD64, { for: "old" }));
    const source = over(registry);
    expect(await labelOf(source, `${server.name}/moving`, AMD64)).toBe("old");
    await server.put("moving", "latest", testImage(["2"], AMD64, { for: "new" }));
    expect(await labelOf(source, name, AMD64)).toBe("old");
    expect((await source.resolve(name, AMD64, { pull: true })).config.config.Labels?.for).toBe("new");
    expect(await labelOf(source, name, AMD64)).toBe("new");
  });

  it("gives way to an image of the store with its name, but not with pull", async () => {
    const name = `${server.name}/app:one`;
    await storeAs(name, testImage(["mine"], AMD64, { for: "mine" }));
    const source = over(registry);
    expect(await labelOf(source, name, AMD64)).toBe("mine");
    expect((await source.resolve(name, AMD64, { pull: true })).config.config.Labels?.for).toBe("amd64");
  });

  it("is named, as it was written, where it isn't there or not for the platform", async () => {
    const source = over(registry);
    await expect(source.resolve(`${server.name}/app:two`, AMD64)).rejects.toMatchObject({
      code: "not-found",
      message: `resolving ${server.name}/app:two: not found`,
    });
    await expect(source.resolve(`${server.name}/app:one`, S390X)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining(`${server.name}/app:one: no match for platform in manifest`),
    });
    await expect(
      source.resolve(`${server.name}/app:one`, AMD64, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: "canceled" });
  });
});
