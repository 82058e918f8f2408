import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, EngineError, systemClock } from "../../src/base/index.js";
import { type Descriptor, type Provider, parseReference, readAll } from "../../src/oci/index.js";
import { createRegistry, type PushProgress, pushImage, type Registry } from "../../src/registry/index.js";
import {
  descriptorOf,
  hasDockerRegistry,
  PASSWORD,
  REFRESH_TOKEN,
  rootOf,
  startRegistry,
  type TestImage,
  type TestRegistry,
  testImage,
  testIndex,
  USER,
} from "./docker-registry.js";

const run = promisify(execFile);
const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64" };
const image = testImage(["layer one", "x".repeat(3_000_000)], AMD64);
const index = testIndex([image, testImage(["layer one", "other"], ARM64)]);
const password = { kind: "password", username: USER, password: PASSWORD } as const;

/** The image's blobs and documents; READ hears of each that is read. */
function providerOf({ blobs, documents }: TestImage, read: string[] = []): Provider {
  const all = new Map([...blobs, ...documents.map(({ bytes }) => bytes)].map((bytes) => [digestOf(bytes), bytes]));
  return {
    async *read(target, options) {
      read.push(target.digest);
      const bytes = all.get(target.digest);
      if (bytes === undefined) throw new EngineError("not-found", `${target.digest} is not here`);
      yield bytes.subarray(options?.offset ?? 0);
    },
  };
}

const outcomes = (progress: readonly PushProgress[]): string[] =>
  progress.flatMap((one) => (one.kind === "done" ? [one.outcome] : []));

describe.skipIf(!hasDockerRegistry)("a push", () => {
  let server: TestRegistry;
  let registry: Registry;
  beforeAll(async () => {
    server = await startRegistry("plain");
    registry = createRegistry({ clock: systemClock, retryDelaysMs: [] });
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await server?.stop();
  });
  const repositoryOf = (name: string) => registry.repository(parseReference(`${server.name}/${name}`));

  it("gives an image all its names, and sends nothing twice", async () => {
    const repository = repositoryOf("app/first");
    const progress: PushProgress[] = [];
    await pushImage(repository, rootOf(image), providerOf(image), {
      tags: ["one", "latest"],
      onProgress: (one) => progress.push(one),
    });
    expect(outcomes(progress)).toEqual(Array(5).fill("uploaded"));
    for (const tag of ["one", "latest"]) expect((await repository.resolve({ tag })).digest).toBe(rootOf(image).digest);
    const sent = progress.flatMap((one) => (one.kind === "sending" ? [one.currentBytes] : []));
    expect(Math.max(...sent)).toBe(3_000_000);

    const read: string[] = [];
    progress.length = 0;
    await pushImage(repository, rootOf(image), providerOf(image, read), {
      tags: ["one"],
      onProgress: (one) => progress.push(one),
    });
    expect(outcomes(progress)).toEqual(Array(4).fill("present"));
    expect(read).toEqual([rootOf(image).digest]);
  });

  it("of an index is complete, and others can read it", async () => {
    const progress: PushProgress[] = [];
    await pushImage(repositoryOf("app/index"), rootOf(index), providerOf(index), {
      tags: ["many"],
      onProgress: (one) => progress.push(one),
    });
    // Five blobs, one of them in both images, two manifests, the index.
    expect(outcomes(progress)).toHaveLength(5 + 2 + 1);
    const { stdout } = await run("skopeo", [
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://${server.name}/app/index:many`,
    ]);
    expect(digestOf(Buffer.from(stdout))).toBe(rootOf(index).digest);
  });

  it("without a tag can be had by its digest", async () => {
    const repository = repositoryOf("app/digest");
    await pushImage(repository, rootOf(index), providerOf(index), { tags: [] });
    expect((await repository.resolve({ digest: rootOf(index).digest })).digest).toBe(rootOf(index).digest);
    await expect(repository.resolve({ tag: "latest" })).rejects.toMatchObject({ code: "not-found" });
  });

  it("mounts blobs of other repositories without reading them", async () => {
    await pushImage(repositoryOf("base/image"), rootOf(image), providerOf(image), { tags: ["one"] });
    const read: string[] = [];
    const progress: PushProgress[] = [];
    await pushImage(repositoryOf("derived/image"), rootOf(image), providerOf(image, read), {
      tags: ["one"],
      origins: () =>
        ["elsewhere.example/base/image", `${server.name}/nowhere`, `${server.name}/base/image`].map(parseReference),
      onProgress: (one) => progress.push(one),
    });
    expect(outcomes(progress).sort()).toEqual(["mounted", "mounted", "mounted", "uploaded"]);
    expect(read).toEqual([rootOf(image).digest]);
  });

  it("sends blobs that can't be mounted", async () => {
    const progress: PushProgress[] = [];
    await pushImage(repositoryOf("derived/other"), rootOf(image), providerOf(image), {
      tags: ["one"],
      origins: () => [parseReference(`${server.name}/nowhere`)],
      onProgress: (one) => progress.push(one),
    });
    expect(outcomes(progress)).toEqual(Array(4).fill("uploaded"));
  });

  it("leaves layers that may not be distributed where they are", async () => {
    const foreign: Descriptor = {
      ...descriptorOf("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Buffer.from("foreign")),
      urls: ["https://elsewhere.example/foreign"],
    };
    const { encodeManifest } = await import("../../src/oci/index.js");
    const [layer, , config] = image.blobs;
    const bytes = encodeManifest({
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
      config: descriptorOf("application/vnd.docker.container.image.v1+json", config ?? Buffer.alloc(0)),
      layers: [foreign, descriptorOf("application/vnd.docker.image.rootfs.diff.tar.gzip", layer ?? Buffer.alloc(0))],
    });
    const descriptor = descriptorOf("application/vnd.docker.distribution.manifest.v2+json", bytes);
    const whole: TestImage = { blobs: image.blobs, documents: [{ descriptor, bytes }] };
    const progress: PushProgress[] = [];
    await pushImage(repositoryOf("app/foreign"), descriptor, providerOf(whole), {
      tags: ["one"],
      onProgress: (one) => progress.push(one),
    });
    expect(outcomes(progress).sort()).toEqual(["skipped", "uploaded", "uploaded", "uploaded"]);
  });

  it("says what it lacks, and leaves no name behind", async () => {
    const broken: TestImage = { blobs: image.blobs.slice(1), documents: image.documents };
    const repository = repositoryOf("app/broken");
    await expect(pushImage(repository, rootOf(image), providerOf(broken), { tags: ["one"] })).rejects.toMatchObject({
      code: "not-found",
      message: `failed to push ${server.name}/app/broken: ${digestOf("layer one")} is not here`,
    });
    await expect(repository.resolve({ tag: "one" })).rejects.toMatchObject({ code: "not-found" });
  });

  it("ends when it is canceled, while a blob is on its way", async () => {
    const canceling = new AbortController();
    const slow: Provider = {
      async *read(target, options) {
        if (target.size < 1000) return yield* providerOf(image).read(target, options);
        yield Buffer.from("x");
        canceling.abort();
        await new Promise(() => undefined);
      },
    };
    await expect(
      pushImage(repositoryOf("app/canceled"), rootOf(image), slow, { tags: ["one"], signal: canceling.signal }),
    ).rejects.toMatchObject({ code: "canceled" });
  });
});

describe.skipIf(!hasDockerRegistry)("a push with credentials", () => {
  it("is authorized by a password, a refresh token, and not without", async () => {
    await using server = await startRegistry("token");
    for (const credential of [password, { kind: "identity-token", token: REFRESH_TOKEN } as const]) {
      await using registry = createRegistry({
        clock: systemClock,
        retryDelaysMs: [],
        credentials: { get: async () => credential },
      });
      const repository = registry.repository(parseReference(`${server.name}/private/${credential.kind}`));
      await pushImage(repository, rootOf(image), providerOf(image), {
        tags: ["one"],
        origins: () => [parseReference(`${server.name}/locked/app`), parseReference(`${server.name}/private/password`)],
      });
      expect((await repository.resolve({ tag: "one" })).digest).toBe(rootOf(image).digest);
    }
    await using anonymous = createRegistry({ clock: systemClock, retryDelaysMs: [] });
    const repository = anonymous.repository(parseReference(`${server.name}/public/app`));
    await expect(pushImage(repository, rootOf(image), providerOf(image), { tags: ["one"] })).rejects.toMatchObject({
      code: "denied",
      message: expect.stringContaining("push access denied, repository does not exist or may require authorization"),
    });
  });

  it("reaches registries with basic authentication, and those with a certificate of their own authority", async () => {
    await using basic = await startRegistry("basic");
    await using tls = await startRegistry("tls");
    await using registry = createRegistry({
      clock: systemClock,
      retryDelaysMs: [],
      credentials: { get: async () => password },
      hosts: new Map([[tls.name, { scheme: "https", ca: tls.ca }]]),
    });
    for (const { name } of [basic, tls]) {
      const repository = registry.repository(parseReference(`${name}/app`));
      await pushImage(repository, rootOf(image), providerOf(image), { tags: ["one"] });
      const [, big] = image.blobs;
      const layer = descriptorOf("x", big ?? Buffer.alloc(0));
      expect(digestOf(await readAll(repository, layer, 4_000_000))).toBe(layer.digest);
    }
    const dir = await mkdtemp(path.join(tmpdir(), "push-"));
    await writeFile(path.join(dir, "ca.crt"), tls.ca);
    const { stdout } = await run("skopeo", ["inspect", "--raw", "--cert-dir", dir, `docker://${tls.name}/app:one`]);
    expect(digestOf(Buffer.from(stdout))).toBe(rootOf(image).digest);
    await rm(dir, { recursive: true });
  });
});
