import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Digest, digestOf, systemClock } from "../../src/base/index.js";
import { type Bytes, parseReference, readAll } from "../../src/oci/index.js";
import { createRegistry, type Registry, type RegistryCredential, type Repository } from "../../src/registry/index.js";
import { type Credentials, dockerCredentials } from "../../src/session/index.js";
import {
  hasDockerRegistry,
  PASSWORD,
  REFRESH_TOKEN,
  rootOf,
  startRegistry,
  type TestRegistry,
  testImage,
  testIndex,
  USER,
} from "./docker-registry.js";

const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64" };
const image = testImage(["layer one", "x".repeat(3_000_000)], AMD64);
const index = testIndex([image, testImage(["other"], ARM64)]);

async function text(content: Bytes): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe.skipIf(!hasDockerRegistry)("a plain registry", () => {
  let server: TestRegistry;
  let registry: Registry;
  let repository: Repository;
  beforeAll(async () => {
    server = await startRegistry("plain");
    await server.put("library/app", "one", image);
    await server.put("library/app", "many", index);
    registry = createRegistry({ clock: systemClock, retryDelaysMs: [] });
    repository = registry.repository(parseReference(`${server.name}/library/app`));
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await server?.stop();
  });

  it("says what a tag and a digest stand for", async () => {
    const { platform: _, ...manifest } = rootOf(image);
    expect(await repository.resolve({ tag: "one" })).toEqual(manifest);
    expect(await repository.resolve({ digest: manifest.digest })).toEqual(manifest);
    expect(await repository.resolve({ tag: "many" })).toEqual(rootOf(index));
  });

  it("gives manifests and blobs, from the start or from an offset", async () => {
    const root = await repository.resolve({ tag: "one" });
    expect(await readAll(repository, root, 10_000)).toEqual(Buffer.from(image.documents[0]?.bytes ?? []));
    const blob = { mediaType: "x", digest: digestOf("layer one"), size: 9 };
    expect(await text(repository.read(blob))).toBe("layer one");
    expect(await text(repository.read(blob, { offset: 6 }))).toBe("one");
    expect(await text(repository.read({ mediaType: "x", digest: digestOf(""), size: 0 }))).toBe("");
  });

  it("says what is not there, with its name", async () => {
    const missing = `sha256:${"0".repeat(64)}` as Digest;
    await expect(repository.resolve({ tag: "three" })).rejects.toMatchObject({
      code: "not-found",
      message: `resolving ${server.name}/library/app:three: not found`,
    });
    await expect(repository.resolve({ digest: missing })).rejects.toMatchObject({ code: "not-found" });
    await expect(text(repository.read({ mediaType: "x", digest: missing, size: 3 }))).rejects.toMatchObject({
      code: "not-found",
      message: `fetching ${missing} of ${server.name}/library/app: not found`,
    });
    const nowhere = registry.repository(parseReference(`${server.name}/nowhere`));
    await expect(nowhere.resolve({ tag: "latest" })).rejects.toMatchObject({ code: "not-found" });
  });

  it("reads more blobs at once than there are connections, and none is kept by who stops early", async () => {
    const blob = { mediaType: "x", digest: digestOf("x".repeat(3_000_000)), size: 3_000_000 };
    for (let round = 0; round < 6; round++) {
      for await (const chunk of repository.read(blob)) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
    }
    const all = await Promise.all(Array.from({ length: 10 }, () => text(repository.read(blob))));
    expect(new Set(all.map((one) => one.length))).toEqual(new Set([3_000_000]));
  });

  it("stops when it is told to", async () => {
    const aborted = AbortSignal.abort();
    await expect(repository.resolve({ tag: "one" }, { signal: aborted })).rejects.toMatchObject({ code: "canceled" });
    const blob = { mediaType: "x", digest: digestOf("x".repeat(3_000_000)), size: 3_000_000 };
    const controller = new AbortController();
    const read = async () => {
      for await (const _ of repository.read(blob, { signal: controller.signal })) controller.abort();
    };
    await expect(read()).rejects.toMatchObject({ code: "canceled" });
  });

  it("says so when it is taken for one that speaks HTTPS", async () => {
    const hosts = new Map([[server.name, { scheme: "https" } as const]]);
    await using secure = createRegistry({ clock: systemClock, hosts, retryDelaysMs: [] });
    const resolving = secure.repository(parseReference(`${server.name}/library/app`)).resolve({ tag: "one" });
    await expect(resolving).rejects.toMatchObject({
      code: "unavailable",
      message: `resolving ${server.name}/library/app:one: server gave HTTP response to HTTPS client`,
    });
  });
});

describe("a registry that isn't there", () => {
  it("is named", async () => {
    await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [] });
    const resolving = registry.repository(parseReference("127.0.0.1:1/app")).resolve({ tag: "one" });
    await expect(resolving).rejects.toMatchObject({
      code: "unavailable",
      message: "resolving 127.0.0.1:1/app:one: connection refused",
    });
  });
});

describe.skipIf(!hasDockerRegistry)("a registry with a private certificate authority", () => {
  let server: TestRegistry;
  beforeAll(async () => {
    server = await startRegistry("tls");
    await server.put("app", "one", image);
  });
  afterAll(() => server?.stop());

  const resolve = async (host: { ca?: string; verify?: boolean }) => {
    const hosts = new Map([[server.name, { scheme: "https", ...host } as const]]);
    await using registry = createRegistry({ clock: systemClock, hosts, retryDelaysMs: [] });
    return await registry.repository(parseReference(`${server.name}/app`)).resolve({ tag: "one" });
  };

  it("is read where the authority is known, or where nobody cares", async () => {
    expect((await resolve({ ca: server.ca })).digest).toBe(rootOf(image).digest);
    expect((await resolve({ verify: false })).digest).toBe(rootOf(image).digest);
  });

  it("is refused otherwise, with what to do", async () => {
    await expect(resolve({})).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^resolving \S+: the certificate can't be trusted/),
      hint: expect.stringContaining("certificate authority"),
    });
  });
});

describe.skipIf(!hasDockerRegistry)("a registry with token authentication", () => {
  let server: TestRegistry;
  beforeAll(async () => {
    server = await startRegistry("token");
    await server.put("public/app", "one", image);
    await server.put("private/app", "one", image);
  });
  afterAll(() => server?.stop());

  const as = (credential: RegistryCredential | undefined): Credentials => ({
    get: async (host) => (host === server.name ? credential : undefined),
  });
  const resolve = async (repository: string, credentials: Credentials) => {
    await using registry = createRegistry({ clock: systemClock, credentials, retryDelaysMs: [] });
    const one = registry.repository(parseReference(`${server.name}/${repository}`));
    const root = await one.resolve({ tag: "one" });
    await readAll(one, root, 10_000);
    return root.digest;
  };

  it("lets everyone read what is public", async () => {
    expect(await resolve("public/app", as(undefined))).toBe(rootOf(image).digest);
    expect(
      await resolve(
        "public/app",
        dockerCredentials({ configFile: "/nowhere/config.json", surroundings: { searchPath: "", env: {} } }),
      ),
    ).toBe(rootOf(image).digest);
  });

  it("takes a password and a refresh token", async () => {
    expect(await resolve("private/app", as({ kind: "password", username: USER, password: PASSWORD }))).toBe(
      rootOf(image).digest,
    );
    expect(await resolve("private/app", as({ kind: "identity-token", token: REFRESH_TOKEN }))).toBe(
      rootOf(image).digest,
    );
  });

  it("refuses those it doesn't know, and the message holds no credential", async () => {
    await expect(resolve("private/app", as(undefined))).rejects.toMatchObject({
      code: "denied",
      message: expect.stringMatching(
        /private\/app:one: pull access denied, repository does not exist or may require authorization/,
      ),
    });
    const wrong = as({ kind: "password", username: USER, password: "wrong-password" });
    const error = await resolve("private/app", wrong).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "denied", message: expect.stringContaining("failed to fetch oauth token") });
    expect(JSON.stringify([error, String(error), String((error as Error).cause)])).not.toContain("wrong-password");
  });

  it("asks for a token once", async () => {
    let asked = 0;
    const counting: Credentials = {
      async get() {
        asked++;
        return undefined;
      },
    };
    await using registry = createRegistry({ clock: systemClock, credentials: counting, retryDelaysMs: [] });
    const repository = registry.repository(parseReference(`${server.name}/public/app`));
    await Promise.all([1, 2, 3, 4].map(() => repository.resolve({ tag: "one" })));
    await repository.resolve({ tag: "one" });
    expect(asked).toBe(1);
  });
});
