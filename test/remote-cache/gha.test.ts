import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { type Provider, readAll } from "../../src/oci/index.js";
import { createHttpClient } from "../../src/registry/index.js";
import { ghaStore, objectSource, objectTarget, parseCacheImport } from "../../src/remote-cache/index.js";
import { GHA_TOKEN, type GhaServer, startGha } from "./gha-server.js";

let server: GhaServer;
const client = createHttpClient({ scheme: "https" }, { redirects: "any" });
afterAll(() => client.close());

beforeEach(async () => {
  server = await startGha();
  return () => server[Symbol.asyncDispose]();
});

function store(attrs: Readonly<Record<string, string>> = {}) {
  const parsed = parseCacheImport({ type: "gha", attrs: { url_v2: server.url, token: GHA_TOKEN, ...attrs } });
  if (parsed.type !== "gha") throw new Error("no gha");
  return ghaStore(parsed.place, { client, newId: randomUUID });
}

function source(bytes: Buffer): Provider {
  return {
    async *read(_, { offset = 0 } = {}) {
      for (let at = offset; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20));
    },
  };
}

const blobOf = (bytes: Buffer) => ({ mediaType: "x", digest: digestOf(bytes), size: bytes.length });
const configOf = (name: string) => ({
  config: Buffer.from(`{"v":1,"layers":[],"chains":[],"records":[],"name":"${name}"}`),
  parts: [],
  layers: [],
});

test("a blob is written once, and read though its address has expired", async () => {
  const bytes = randomBytes(100_000);
  const target = objectTarget(store());
  await target.putBlob(blobOf(bytes), source(bytes), { origins: [] });
  await target.putBlob(blobOf(bytes), source(bytes), { origins: [] });
  expect(server.requests.filter((each) => each === "CreateCacheEntry")).toHaveLength(1);
  await target.publish(configOf("a"), {});
  const [opened] = await objectSource(store()).open({});
  expect(await opened?.has?.(blobOf(bytes), {})).toBe(true);
  server.expire();
  expect((await readAll(opened?.lends as Provider, blobOf(bytes), bytes.length)).equals(bytes)).toBe(true);
  server.entries.clear();
  expect(await opened?.has?.(blobOf(bytes), {})).toBe(false);
});

test("a large blob is sent in blocks", async () => {
  const bytes = Buffer.alloc(70 << 20, "large");
  await objectTarget(store()).putBlob(blobOf(bytes), source(bytes), { origins: [] });
  expect(server.requests.filter((each) => each === "PUT block")).toHaveLength(3);
  expect([...server.entries.values()].map(digestOf)).toEqual([digestOf(bytes)]);
});

test("the newest config of a scope is read, and no other scope's", async () => {
  for (const name of ["old", "new"]) await objectTarget(store()).publish(configOf(name), {});
  await objectTarget(store({ scope: "ashlar2" })).publish(configOf("other"), {});
  const read = await store().readConfig({});
  expect(Buffer.from(read ?? []).toString()).toContain('"new"');
  await expect(objectSource(store({ scope: "none" })).open({})).rejects.toMatchObject({ code: "not-found" });
});

test("a config that is the newest already is not written again", async () => {
  for (const [name, count] of [
    ["a", 1],
    ["a", 1],
    ["b", 2],
    ["a", 3],
  ] as const) {
    await objectTarget(store()).publish(configOf(name), {});
    expect(server.entries.size).toBe(count);
  }
});

test("who is not let in is told so, and no address is", async () => {
  await expect(objectSource(store({ token: "wrong" })).open({})).rejects.toMatchObject({
    code: "denied",
    message: expect.not.stringContaining("sig="),
  });
  expect(() => parseCacheImport({ type: "gha" })).toThrow("token ($ACTIONS_RUNTIME_TOKEN) not set");
});
