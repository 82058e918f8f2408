import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dockerCredentials, openSecrets, SECRET_BYTES_MAX } from "../../src/session/index.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "session-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));
const write = async (name: string, content: string | Uint8Array): Promise<string> => {
  const file = path.join(dir, name);
  await writeFile(file, content);
  return file;
};

describe("secrets", () => {
  it("are what a file holds when it is asked for, or a value", async () => {
    const file = await write("word", "old");
    const secrets = await openSecrets([
      { id: "file", source: "file", path: file },
      { id: "value", source: "value", value: Uint8Array.of(0, 255) },
    ]);
    await writeFile(file, "new");
    expect(Buffer.from((await secrets.get("file")) ?? "").toString()).toBe("new");
    expect(await secrets.get("value")).toEqual(Uint8Array.of(0, 255));
    expect(await secrets.get("other")).toBeUndefined();
  });

  it("are refused at once if their file isn't there", async () => {
    const nowhere = path.join(dir, "nowhere");
    await expect(openSecrets([{ id: "word", source: "file", path: nowhere }])).rejects.toMatchObject({
      code: "not-found",
      message: `failed to stat ${nowhere}: no such file or directory`,
    });
  });

  it("have at most 500 KiB", async () => {
    const [largest, larger] = [Buffer.alloc(SECRET_BYTES_MAX), Buffer.alloc(SECRET_BYTES_MAX + 1)];
    const secrets = await openSecrets([
      { id: "largest", source: "file", path: await write("largest", largest) },
      { id: "file", source: "file", path: await write("larger", larger) },
      { id: "value", source: "value", value: larger },
      { id: "directory", source: "file", path: dir },
    ]);
    expect(await secrets.get("largest")).toHaveLength(SECRET_BYTES_MAX);
    for (const id of ["file", "value", "directory"]) {
      await expect(secrets.get(id)).rejects.toMatchObject({
        code: "invalid",
        message: expect.stringContaining(`secret ${id}: `),
      });
    }
  });
});

describe("Docker's config.json", () => {
  const basic = (text: string): string => Buffer.from(text).toString("base64");
  const read = async (config: unknown) => dockerCredentials(await write("config.json", JSON.stringify(config)));

  it("gives the credential of a host, however its key is spelled", async () => {
    const credentials = await read({
      auths: {
        "https://index.docker.io/v1/": { auth: basic("hub:pass:word") },
        "https://registry.example/v2/": { auth: basic("a:b") },
        "localhost:5000": { username: "u", password: "p" },
        "token.example": { auth: basic("x:y"), identitytoken: "refresh" },
        "bearer.example": { registrytoken: "bearer" },
      },
    });
    expect(await credentials.get("docker.io")).toEqual({ kind: "password", username: "hub", password: "pass:word" });
    expect(await credentials.get("registry.example")).toEqual({ kind: "password", username: "a", password: "b" });
    expect(await credentials.get("localhost:5000")).toEqual({ kind: "password", username: "u", password: "p" });
    expect(await credentials.get("token.example")).toEqual({ kind: "identity-token", token: "refresh" });
    expect(await credentials.get("bearer.example")).toEqual({ kind: "registry-token", token: "bearer" });
    expect(await credentials.get("other.example")).toBeUndefined();
  });

  it.each([
    {},
    null,
    [],
    { auths: null },
    { auths: { a: null, b: {}, c: { auth: "" }, d: { auth: basic("nocolon") }, e: 1 } },
  ])("holds nothing in %j", async (config) => {
    const credentials = await read(config);
    for (const host of ["a", "b", "c", "d", "e", "docker.io", "constructor"])
      expect(await credentials.get(host)).toBeUndefined();
  });

  it("need not be there", async () => {
    expect(await dockerCredentials(path.join(dir, "nowhere")).get("docker.io")).toBeUndefined();
  });

  it("is not quoted when it is malformed", async () => {
    const credentials = dockerCredentials(await write("config.json", '{"auths": {"a": {"auth": "c2VjcmV0"'));
    const error = await credentials.get("a").catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "invalid", message: expect.stringContaining(path.join(dir, "config.json")) });
    expect(String(error)).not.toContain("c2Vj");
  });
});
