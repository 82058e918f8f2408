import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import {
  type Descriptor,
  encodeManifest,
  MANIFEST_BYTES_MAX,
  MediaType,
  type Provider,
  parseReference,
  readAll,
} from "../../src/oci/index.js";
import { createRegistry, pushImage, type Repository } from "../../src/registry/index.js";
import { rootOf, testImage, testIndex } from "./docker-registry.js";
import { type SpecManners, startSpecServer } from "./spec-server.js";
import type { UploadServer } from "./upload-server.js";

/** The mirror image of distribution-spec's conformance suite: one client, and servers that answer in every way. */
const amd64 = testImage(["shared", "one"], { os: "linux", architecture: "amd64" });
const arm64 = testImage(["shared", "two"], { os: "linux", architecture: "arm64" });
const index = testIndex([amd64, arm64]);
const root = rootOf(index);
const contents = new Map<string, Uint8Array>(
  [...index.blobs, ...index.documents.map(({ bytes }) => bytes)].map((bytes) => [digestOf(bytes), bytes]),
);
const provider: Provider = {
  async *read({ digest }, { offset = 0 } = {}) {
    yield (contents.get(digest) ?? Buffer.alloc(0)).subarray(offset);
  },
};
const PASSWORD = "pass-word";
const credentials = { get: async () => ({ kind: "password", username: "u", password: PASSWORD }) as const };

async function withRepository<T>(
  manners: SpecManners,
  work: (repository: Repository, server: UploadServer) => Promise<T>,
): Promise<T> {
  await using server = await startSpecServer(manners);
  await using registry = createRegistry({ clock: systemClock, retryDelaysMs: [0, 0, 0], credentials });
  return await work(registry.repository(parseReference(`${server.name}/app`)), server);
}

/** All that a client asks of a registry: a push of several platforms under two names, and reading back what is there. */
async function converse(repository: Repository, server: UploadServer): Promise<void> {
  await pushImage(repository, root, provider, { tags: ["one", "two"] });
  for (const digest of contents.keys())
    expect(server.blobs.has(digest) || server.manifests.has(digest), digest).toBe(true);
  const { mediaType, digest, size } = root;
  expect(await repository.resolve({ tag: "two" })).toEqual({ mediaType, digest, size });
  expect(await repository.resolve({ digest })).toEqual({ mediaType, digest, size });
  for (const { descriptor } of index.documents)
    expect(digestOf(await readAll(repository, descriptor, MANIFEST_BYTES_MAX))).toBe(descriptor.digest);
  for (const bytes of index.blobs) {
    const blob = { mediaType: "x", digest: digestOf(bytes), size: bytes.length };
    expect(await readAll(repository, blob, 1000)).toEqual(bytes);
    const rest: Uint8Array[] = [];
    for await (const chunk of repository.read(blob, { offset: 2 })) rest.push(chunk);
    expect(Buffer.concat(rest)).toEqual(Buffer.from(bytes.subarray(2)));
  }
  const about = encodeManifest({
    mediaType: MediaType.ociManifest,
    artifactType: "text/x",
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 },
    layers: [],
    subject: { mediaType, digest, size },
  });
  const descriptor = { mediaType: MediaType.ociManifest, digest: digestOf(about), size: about.length };
  await repository.putManifest(descriptor, about, descriptor.digest);
  await repository.referrers(digest);
  await expect(repository.resolve({ tag: "absent" })).rejects.toMatchObject({ code: "not-found" });
}

const answer = (response: ServerResponse, status: number, headers: Record<string, string> = {}, body = ""): true => {
  response.writeHead(status, headers).end(body);
  return true;
};
const redirectedOnce =
  (status: number, ...methods: string[]) =>
  (request: IncomingMessage, response: ServerResponse): boolean => {
    const { url = "", method = "" } = request;
    if (!methods.includes(method) || url.includes("hop=1")) return false;
    request.resume();
    return answer(response, status, { location: `${url}${url.includes("?") ? "&" : "?"}hop=1` });
  };
/** Not before the answer to CHALLENGE, whose token server is the registry itself. */
const guarded = (
  challenge: (origin: string) => string,
  token: (request: IncomingMessage, form: URLSearchParams) => object | undefined,
  isRight: (authorization: string) => boolean,
) => {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const { url = "", headers } = request;
    if (url.startsWith("/token")) {
      let text = "";
      request.on("data", (chunk) => {
        text += chunk;
      });
      request.on("end", () => {
        const given = token(request, new URLSearchParams(text));
        answer(response, given ? 200 : 404, {}, JSON.stringify(given ?? {}));
      });
      return true;
    }
    if (isRight(headers.authorization ?? "")) return false;
    request.resume();
    return answer(response, 401, { "www-authenticate": challenge(`http://${headers.host}`) });
  };
};
const bearer = (origin: string) => `Bearer realm="${origin}/token",service="s"`;
const basicAuthorization = `Basic ${Buffer.from(`u:${PASSWORD}`).toString("base64")}`;
const byGet = (given: object) => (request: IncomingMessage) => (request.method === "GET" ? given : undefined);
const isToken = (authorization: string) => authorization === "Bearer t";

describe("a registry is understood that", () => {
  it.each<[string, SpecManners]>([
    ["answers as the specification shows it", {}],
    ["gives whole addresses", { location: (address, origin) => origin + address }],
    ["gives addresses without a scheme", { location: (address, origin) => origin.replace("http:", "") + address }],
    [
      "gives addresses relative to the request",
      { location: (address) => address.replace("/v2/app/blobs/uploads/", "") },
    ],
    ["says nothing that it needn't", { silent: true }],
    ...[200, 201, 202, 204].map((stored): [string, SpecManners] => [`answers ${stored} to what it stores`, { stored }]),
    ...["HEAD", "GET", "POST", "PUT"].flatMap((method) =>
      [307, 308].map((status): [string, SpecManners] => [
        `redirects each ${method} by ${status}`,
        { instead: redirectedOnce(status, method) },
      ]),
    ),
    ...[301, 302, 303].map((status): [string, SpecManners] => [
      `redirects what is read by ${status}`,
      { instead: redirectedOnce(status, "GET", "HEAD") },
    ]),
    ["tells no digest", { headers: { "docker-content-digest": undefined } }],
    ["tells no media type", { headers: { "content-type": undefined } }],
    ["tells no length", { headers: { "content-length": undefined } }],
    ["tells nothing but the content", { headers: Object.fromEntries(TOLD.map((name) => [name, undefined])) }],
    ["calls everything text", { headers: { "content-type": "text/plain; charset=utf-8" } }],
    ["closes each connection", { headers: { connection: "close" } }],
    ["knows no ranges", { ranges: false }],
    ["lists referrers", { referrers: true }],
    ["knows no HEAD of manifests", { first: { "HEAD manifests": Array(6).fill(405) } }],
    [
      "is overloaded now and then",
      { first: { "GET blobs": [429, 503], "POST uploads": [503], "GET manifests": [502] } },
    ],
    ["forgets an upload", { first: { "PUT uploads": [404] } }],
    [
      "asks for a password",
      {
        instead: guarded(
          () => 'Basic realm="x"',
          () => undefined,
          (given) => given === basicAuthorization,
        ),
      },
    ],
    ["gives tokens by GET", { instead: guarded(bearer, byGet({ token: "t" }), isToken) }],
    [
      "gives tokens by another name",
      { instead: guarded(bearer, byGet({ access_token: "t", expires_in: 300 }), isToken) },
    ],
    [
      "gives tokens by POST",
      {
        instead: guarded(
          bearer,
          (request, form) =>
            request.method === "POST" && form.get("password") === PASSWORD ? { access_token: "t" } : undefined,
          isToken,
        ),
      },
    ],
    [
      "gives tokens that are old at once",
      { instead: guarded(bearer, byGet({ token: "t", expires_in: 0, issued_at: "1970-01-01T00:00:00Z" }), isToken) },
    ],
    [
      "asks for a scope in its own words",
      {
        instead: guarded(
          (origin) => `${bearer(origin)},scope="repository:app:pull,push,delete"`,
          byGet({ token: "t" }),
          isToken,
        ),
      },
    ],
    [
      "asks in several ways",
      {
        instead: guarded(
          (origin) => `Negotiate, Basic realm="x, y", ${bearer(origin)}`,
          byGet({ token: "t" }),
          isToken,
        ),
      },
    ],
  ])("%s", (_, manners) => withRepository(manners, converse));
});

const TOLD = ["docker-content-digest", "content-type", "content-length"];

describe("referrers are listed by a registry that", () => {
  const subject = root.digest;
  const listing = (
    pages: readonly object[],
    link: (page: number, origin: string) => string | undefined,
  ): SpecManners => ({
    instead(request, response) {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
      if (!pathname.includes("/referrers/")) return false;
      const page = Number(searchParams.get("p") ?? 0);
      const next = link(page, `http://${request.headers.host}`);
      const headers = { "content-type": MediaType.ociIndex, ...(next === undefined ? {} : { link: next }) };
      return answer(response, 200, headers, JSON.stringify(pages[page] ?? pages[0]));
    },
  });
  const page = (text: string) => ({
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: [{ mediaType: MediaType.ociManifest, digest: digestOf(text), size: 7, artifactType: "text/x" }],
  });
  const two = [page("a"), page("b")];
  const place = `/v2/app/referrers/${subject}?p=1`;

  it.each<[string, (page: number, origin: string) => string | undefined, number]>([
    ["gives them at once", () => undefined, 1],
    ["gives them by pages", (at) => (at === 0 ? `<${place}>; rel="next"` : undefined), 2],
    ["names the next page in full", (at, origin) => (at === 0 ? `<${origin}${place}>; rel=next` : undefined), 2],
    ["names another page than the next", (at) => (at === 0 ? `<${place}>; rel="last"` : undefined), 1],
    ["names a page elsewhere, where nobody goes", () => `<http://elsewhere.test${place}>; rel="next"`, 1],
    ["names what is no page", () => "<<>>; rel=next", 1],
  ])("%s", async (_, link, count) => {
    const found = await withRepository(listing(two, link), (repository) => repository.referrers(subject));
    expect(found?.map(({ digest }) => digest)).toEqual([digestOf("a"), digestOf("b")].slice(0, count));
  });

  it.each<[string, SpecManners]>([
    ["lists none", {}],
    [
      "answers everything by a web page",
      { instead: (_, response) => answer(response, 200, { "content-type": "text/html" }, "<html>") },
    ],
    ["doesn't know the question", { first: { "GET referrers": [405] } }],
  ])("%s: there is no list", async (_, manners) => {
    expect(await withRepository(manners, (repository) => repository.referrers(subject))).toBeUndefined();
  });

  it.each<[string, SpecManners, object]>([
    [
      "never comes to an end",
      listing(two, () => `<${place}>; rel="next"`),
      { code: "invalid", message: /more than 32 pages/ },
    ],
    [
      "gives nonsense",
      { instead: (_, response) => answer(response, 200, { "content-type": MediaType.ociIndex }, "{") },
      { code: "invalid" },
    ],
    [
      "forbids it",
      { first: { "GET referrers": [403] } },
      { code: "denied", message: /listing referrers of .*: 403: UNKNOWN: as told/ },
    ],
  ])("%s: that is an error", async (_, manners, expected) => {
    await expect(withRepository(manners, (repository) => repository.referrers(subject))).rejects.toMatchObject(
      expected,
    );
  });
});

/** What is asked of a registry that answers one of them by a lie. */
const blob: Descriptor = { mediaType: "x", digest: digestOf("0123456789"), size: 10 };
const ASK = {
  read: (repository: Repository) => readAll(repository, blob, 100),
  resolve: (repository: Repository) => repository.resolve({ tag: "one" }),
  verify: (repository: Repository) => repository.resolve({ digest: blob.digest }),
  send: (repository: Repository) => repository.putBlob(blob, provider),
  push: (repository: Repository) => pushImage(repository, root, provider, { tags: ["one"] }),
} as const;
type Lie = (request: IncomingMessage, response: ServerResponse) => unknown;
const raw =
  (text: string): Lie =>
  (request) =>
    request.socket.end(text);
const says =
  (status: number, headers: Record<string, string> = {}, body = ""): Lie =>
  (request, response) => {
    request.resume();
    answer(response, status, headers, body);
  };
const endless =
  (headers: Record<string, string> = {}): Lie =>
  (_, response) => {
    response.writeHead(200, headers);
    const more = (): void => void (response.destroyed || response.write(" ".repeat(65_536), more));
    more();
  };
const manifest = (text: string) => says(200, { "content-type": MediaType.ociManifest }, text);
const deep = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
const manyLayers = JSON.stringify({
  schemaVersion: 2,
  config: blob,
  layers: Array.from({ length: 3000 }, () => ({ mediaType: "x", digest: digestOf("x"), size: 1 })),
});

describe("a hostile registry gets a clear error when it answers", () => {
  it.each<[string, keyof typeof ASK, Lie, { readonly code: string; readonly message?: RegExp }]>([
    [
      "a blob by another",
      "read",
      says(200, {}, "9876543210"),
      { code: "data-loss", message: /verifying sha256:.*got sha256:/ },
    ],
    ["a blob by less", "read", says(200, {}, "0123"), { code: "unavailable", message: /ended after 4 of 10 bytes/ }],
    [
      "a blob by more",
      "read",
      says(200, {}, "0123456789!"),
      { code: "data-loss", message: /more than the 10 bytes expected/ },
    ],
    ["a blob without end", "read", endless(), { code: "data-loss", message: /more than the 10 bytes/ }],
    ["a blob by nothing", "read", says(204), { code: "failed", message: /204/ }],
    [
      "a blob by a part nobody asked for",
      "read",
      says(206, { "content-range": "bytes 4-9/10" }, "456789"),
      { code: "failed", message: /asked for bytes from 0 on, got them from 4/ },
    ],
    [
      "a blob by a part of somewhere",
      "read",
      says(206, {}, "0123456789"),
      { code: "failed", message: /got them from somewhere/ },
    ],
    [
      "a blob packed as nobody asked for",
      "read",
      says(200, { "content-encoding": "gzip" }, "xxxxxxxxxx"),
      { code: "data-loss" },
    ],
    [
      "a blob with another length than its own",
      "read",
      raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n0123"),
      { code: "unavailable" },
    ],
    ["by no HTTP", "read", raw("SSH-2.0-OpenSSH_9.2\r\n"), { code: "unavailable" }],
    [
      "by headers without end",
      "read",
      raw(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`),
      { code: "unavailable", message: /Headers Overflow|header/i },
    ],
    ["by closing the door", "read", (request) => request.socket.destroy(), { code: "unavailable" }],
    [
      "by a redirect to itself",
      "read",
      says(307, { location: "/again" }),
      { code: "failed", message: /more than 10 redirects/ },
    ],
    [
      "by a redirect to nowhere",
      "read",
      says(302, { location: "http://[" }),
      { code: "failed", message: /refusing a redirect to what is no URL/ },
    ],
    [
      "by a redirect to a file",
      "read",
      says(302, { location: "file:///etc/passwd" }),
      { code: "failed", message: /refusing a redirect/ },
    ],
    ["that nothing has changed", "read", says(304), { code: "failed", message: /304/ }],
    [
      "in words for a terminal",
      "read",
      says(409, {}, JSON.stringify({ errors: [{ code: "\u001b[2J", message: "no\nline" }] })),
      { code: "failed", message: /: 409: .*no line$/ },
    ],
    [
      "a tag by a web page",
      "resolve",
      says(200, { "content-type": "text/html" }, "<html>"),
      { code: "invalid", message: /resolving .*\/app:one.*manifest|manifest/ },
    ],
    ["a tag by nothing", "resolve", says(200), { code: "invalid" }],
    ["a tag without end", "resolve", endless(), { code: "invalid", message: /more than \d+ bytes of manifest/ }],
    ["a tag by what is nested without end", "resolve", manifest(deep), { code: "invalid" }],
    ["a tag by too many layers", "resolve", manifest(manyLayers), { code: "invalid" }],
    [
      "a tag by a size below nothing",
      "resolve",
      manifest(`{"schemaVersion":2,"config":{"mediaType":"x","digest":"${blob.digest}","size":-1},"layers":[]}`),
      { code: "invalid" },
    ],
    [
      "a tag by a digest that is a path",
      "resolve",
      manifest('{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:../../etc","size":1},"layers":[]}'),
      { code: "invalid" },
    ],
    [
      "a tag by an index that is a manifest, too",
      "resolve",
      manifest(`{"schemaVersion":2,"manifests":[],"config":${JSON.stringify(blob)},"layers":[]}`),
      { code: "invalid" },
    ],
    [
      "a digest by another document",
      "verify",
      manifest(JSON.stringify({ schemaVersion: 2, config: blob, layers: [] })),
      { code: "data-loss", message: /the registry gave sha256:/ },
    ],
    [
      "a digest by another digest",
      "verify",
      says(200, {
        "content-type": MediaType.ociManifest,
        "docker-content-digest": digestOf("z"),
        "content-length": "0",
      }),
      { code: "data-loss" },
    ],
    ["an upload by no place", "send", says(202), { code: "failed" }],
    [
      "that it wants a token for another repository",
      "resolve",
      says(401, { "www-authenticate": 'Bearer realm="http://127.0.0.1:1/",scope="repository:other:pull"' }),
      { code: "unavailable" },
    ],
    [
      "that it wants a password in another realm's words",
      "resolve",
      says(401, { "www-authenticate": 'Bearer realm="javascript:alert(1)"' }),
      { code: "denied", message: /refusing to ask/ },
    ],
    ["by forbidding all", "push", says(403, {}, "no"), { code: "denied", message: /failed to push .*\/app: / }],
    [
      "by asking for a password again and again",
      "push",
      says(401, { "www-authenticate": "Basic" }),
      { code: "denied" },
    ],
    ["by being overloaded for ever", "push", says(429), { code: "unavailable", message: /toomanyrequests/ }],
  ])("%s", async (_, ask, lie, expected) => {
    const instead: SpecManners["instead"] = (request, response) => {
      if (request.method === "HEAD" && ask !== "push" && ask !== "verify") {
        answer(response, ask === "send" ? 404 : 405);
        return true;
      }
      lie(request, response);
      return true;
    };
    const error = await withRepository({ instead }, async (repository, server) => {
      const thrown = await ASK[ask](repository).then(
        () => undefined,
        (failure: Error) => failure,
      );
      expect(server.requests.length).toBeLessThan(30);
      return thrown;
    });
    expect(error).toMatchObject({
      name: expect.stringMatching(/Error$/),
      ...expected,
      message: expect.stringMatching(expected.message ?? /./),
    });
    expect(`${error?.message}${error?.cause}`).not.toContain(PASSWORD);
    expect(error?.message).not.toMatch(/\p{C}/u);
  });
});

describe("tags are listed by a registry that", () => {
  const listing = (page: (from: string | null) => object | string, link?: string): SpecManners => ({
    instead(request, response) {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
      if (pathname !== "/v2/app/tags/list") return false;
      const from = searchParams.get("last");
      const content = page(from);
      const headers = { "content-type": "application/json", ...(link && from === null ? { link } : {}) };
      return answer(response, 200, headers, typeof content === "string" ? content : JSON.stringify(content));
    },
  });
  const next = '</v2/app/tags/list?last=b>; rel="next"';
  const paged = (from: string | null) => ({ name: "app", tags: from === null ? ["a", "b"] : ["c"] });

  it.each<[string, SpecManners, readonly string[]]>([
    ["gives them at once", listing(() => ({ tags: ["1.0", "latest"] })), ["1.0", "latest"]],
    ["gives them by pages", listing(paged, next), ["a", "b", "c"]],
    ["has none", listing(() => ({ name: "app", tags: null })), []],
  ])("%s", async (_, manners, tags) => {
    expect(await withRepository(manners, (repository) => repository.tags())).toEqual(tags);
  });

  it.each<[string, SpecManners, object]>([
    ["gives no list", listing(() => "<html>"), { code: "invalid", message: /gives no list of tags/ }],
    ["names what no tag can be", listing(() => ({ tags: ["../x"] })), { code: "invalid", message: /no list of tags/ }],
    [
      "goes on without end",
      listing(() => ({ tags: ["a"] }), '</v2/app/tags/list>; rel="next"'),
      { code: "invalid", message: /more than 32 pages/ },
    ],
    [
      "doesn't know the repository",
      { instead: (_, response) => answer(response, 404, {}, "{}") },
      { code: "not-found" },
    ],
  ])("or refused: one that %s", async (_, manners, error) => {
    await expect(withRepository(manners, (repository) => repository.tags())).rejects.toMatchObject({
      ...error,
      ...("message" in error ? { message: expect.stringMatching(error.message as RegExp) } : {}),
    });
  });
});
