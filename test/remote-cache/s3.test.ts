import { randomBytes } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { type Descriptor, type Provider, readAll } from "../../src/oci/index.js";
import { createHttpClient, type HttpClient } from "../../src/registry/index.js";
import { objectSource, objectTarget, parseCacheImport, s3Store } from "../../src/remote-cache/index.js";
import { Bucket } from "../../src/remote-cache/s3/bucket.js";
import { sha256, signedHeaders } from "../../src/remote-cache/s3/signature.js";
import { S3_KEY, S3_SECRET, type S3Server, startS3 } from "./s3-server.js";

let server: S3Server;
const client = createHttpClient({ scheme: "https" }, { redirects: "any" });
afterAll(() => client.close());

beforeEach(async () => {
  server = await startS3({ sessionToken: "session" });
  return () => server[Symbol.asyncDispose]();
});

function store(attrs: Readonly<Record<string, string>> = {}) {
  const all = {
    bucket: "bucket",
    region: "eu-central-1",
    endpoint_url: server.endpoint,
    use_path_style: "true",
    access_key_id: S3_KEY,
    secret_access_key: S3_SECRET,
    session_token: "session",
    prefix: "ci (1)/",
    ...attrs,
  };
  const parsed = parseCacheImport({ type: "s3", attrs: all });
  if (parsed.type !== "s3") throw new Error("no s3");
  return s3Store(parsed.place, { client, clock: { now: () => Date.now() } });
}

function blobOf(bytes: Buffer): { readonly blob: Descriptor; readonly source: Provider } {
  const blob = { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length };
  return {
    blob,
    source: {
      async *read(_, { offset = 0 } = {}) {
        for (let at = offset; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
      },
    },
  };
}

const EMPTY = { config: Buffer.from('{"v":1,"layers":[],"chains":[],"records":[]}'), parts: [], layers: [] };

test("requests are signed as Amazon's own example", () => {
  const signed = signedHeaders(
    {
      method: "GET",
      url: new URL("https://examplebucket.s3.amazonaws.com/test.txt"),
      headers: { range: "bytes=0-9" },
      payload: sha256(""),
      at: Date.UTC(2013, 4, 24),
    },
    {
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
      region: "us-east-1",
    },
  );
  expect(signed.authorization).toMatch(/f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/);
});

test("a blob is sent once, and read again through cuts", async () => {
  const { blob, source } = blobOf(randomBytes(300_000));
  const target = objectTarget(store());
  await target.putBlob(blob, source, { origins: [] });
  await target.putBlob(blob, source, { origins: [] });
  expect(server.requests.filter((each) => each.startsWith("PUT "))).toEqual([`PUT ci (1)/blobs/${blob.digest}`]);
  await target.publish(EMPTY, {});
  const [opened] = await objectSource(store()).open({});
  server.cuts = 2;
  const read = await readAll(opened?.lends as Provider, blob, blob.size);
  expect(digestOf(read)).toBe(blob.digest);
  expect(await opened?.has?.(blob, {})).toBe(true);
  server.objects.clear();
  expect(await opened?.has?.(blob, {})).toBe(false);
});

test("a large blob is sent in parts", async () => {
  const { blob, source } = blobOf(Buffer.alloc(70 * 1024 * 1024, "large"));
  await objectTarget(store()).putBlob(blob, source, { origins: [] });
  expect(server.requests.filter((each) => each.includes("partNumber"))).toHaveLength(5);
  const stored = server.objects.get(`ci (1)/blobs/${blob.digest}`);
  expect(stored && digestOf(stored.bytes)).toBe(blob.digest);
});

test("an old blob is made young again, one of another size is sent again", async () => {
  const { blob, source } = blobOf(randomBytes(1000));
  const target = objectTarget(store());
  await target.putBlob(blob, source, { origins: [] });
  const object = server.objects.get(`ci (1)/blobs/${blob.digest}`);
  if (object) object.modifiedAt = 0;
  await target.putBlob(blob, source, { origins: [] });
  expect(server.objects.get(`ci (1)/blobs/${blob.digest}`)?.modifiedAt).toBeGreaterThan(0);
  server.objects.set(`ci (1)/blobs/${blob.digest}`, { bytes: Buffer.alloc(3), modifiedAt: Date.now() });
  await target.putBlob(blob, source, { origins: [] });
  expect(server.objects.get(`ci (1)/blobs/${blob.digest}`)?.bytes.length).toBe(1000);
});

test("every name of a cache is written, the first is read", async () => {
  await objectTarget(store({ name: "main;v1" })).publish(EMPTY, {});
  expect([...server.objects.keys()].sort()).toEqual(["ci (1)/manifests/main", "ci (1)/manifests/v1"]);
  expect(await objectSource(store({ name: "v1" })).open({})).toHaveLength(1);
  await expect(objectSource(store({ name: "other" })).open({})).rejects.toMatchObject({ code: "not-found" });
});

test("a config that is there is written again only when it is old", async () => {
  const puts = () => server.requests.filter((each) => each.startsWith("PUT ")).length;
  const target = objectTarget(store({ name: "main;v1" }));
  for (const count of [2, 2]) {
    await target.publish(EMPTY, {});
    expect(puts()).toBe(count);
  }
  const object = server.objects.get("ci (1)/manifests/v1");
  if (object) object.modifiedAt = 0;
  await target.publish(EMPTY, {});
  expect(puts()).toBe(3);
});

test("who is not let in is told so", async () => {
  const stranger = objectSource(store({ secret_access_key: "wrong" })).open({});
  await expect(stranger).rejects.toMatchObject({ code: "denied", message: expect.stringContaining("does not match") });
  expect(() => parseCacheImport({ type: "s3", attrs: { bucket: "b" } })).toThrow(
    "region ($AWS_REGION) not set for s3 cache",
  );
});

test.each([
  ["bucket", undefined, false, "https://bucket.s3.eu.amazonaws.com/key"],
  ["bucket", "https://s3.example.com", false, "https://bucket.s3.example.com/key"],
  ["bucket", "https://s3.example.com/below", true, "https://s3.example.com/below/bucket/key"],
  ["a.bucket", undefined, false, "https://s3.eu.amazonaws.com/a.bucket/key"],
  ["a.bucket", "http://s3.example.com:9000", false, "http://a.bucket.s3.example.com:9000/key"],
  ["Bucket_1", undefined, false, "https://s3.eu.amazonaws.com/Bucket_1/key"],
  ["bucket", "http://127.0.0.1:9000", false, "http://127.0.0.1:9000/bucket/key"],
  ["bucket", "http://[::1]:9000", false, "http://[::1]:9000/bucket/key"],
])("the bucket %s of %s is asked for where servers look for it", async (bucket, endpoint, pathStyle, expected) => {
  const asked: string[] = [];
  const client = {
    async send({ url }: { readonly url: URL }) {
      asked.push(url.href);
      return { status: 404, discard() {} };
    },
  } as unknown as HttpClient;
  const place = { bucket, pathStyle, endpoint: endpoint === undefined ? undefined : new URL(endpoint) };
  const signer = { accessKeyId: "k", secretAccessKey: "s", region: "eu" };
  await new Bucket({ ...place, ...signer, client, clock: { now: () => 0 } }).head("key", {});
  expect(asked).toEqual([expected]);
});
