import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import {
  type Bytes,
  type Descriptor,
  MANIFEST_BYTES_MAX,
  MediaType,
  parseReference,
  readAll,
} from "../../src/oci/index.js";
import { createRegistry, type Registry, type RegistryOptions, type Repository } from "../../src/registry/index.js";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const CONTENT = "0123456789".repeat(100_000);
const BLOB: Descriptor = { mediaType: "x", digest: digestOf(CONTENT), size: CONTENT.length };
const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: MediaType.ociManifest,
  config: { mediaType: MediaType.ociConfig, digest: digestOf("config"), size: 6 },
  layers: [],
});

let servers: Server[];
let registry: Registry;
let seen: IncomingMessage[];
beforeEach(() => {
  servers = [];
  seen = [];
  registry = open();
});
const open = (options: Partial<RegistryOptions> = {}): Registry =>
  createRegistry({
    clock: systemClock,
    retryDelaysMs: [0, 0, 0],
    credentials: { get: async () => ({ kind: "password", username: "u", password: "pass-word" }) },
    ...options,
  });
afterEach(async () => {
  await registry[Symbol.asyncDispose]();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

async function listen(handler: Handler): Promise<string> {
  const server = createServer((request, response) => {
    seen.push(request);
    handler(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const serve = async (handler: Handler): Promise<Repository> =>
  registry.repository(parseReference(`${await listen(handler)}/app`));

async function size(content: Bytes): Promise<number> {
  let bytes = 0;
  for await (const chunk of content) bytes += chunk.length;
  return bytes;
}

function startOf(request: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
}

function rangeHeaders(request: IncomingMessage): Record<string, string | number> {
  const start = startOf(request);
  const range = request.headers.range
    ? { "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` }
    : {};
  return { "content-length": CONTENT.length - start, ...range };
}

/** Sends the wanted part of CONTENT, but at most LIMIT bytes of it before it cuts the connection. */
function sendPart(request: IncomingMessage, response: ServerResponse, limit: number): void {
  const rest = CONTENT.slice(startOf(request));
  response.writeHead(request.headers.range ? 206 : 200, rangeHeaders(request));
  if (rest.length <= limit) response.end(rest);
  else response.write(rest.slice(0, limit), () => setImmediate(() => response.destroy()));
}

describe("a blob", () => {
  it("is fetched on from where its connection was cut", async () => {
    const cutAfter = 300_000;
    let held: { readonly response: ServerResponse; readonly end: number } | undefined;
    const repository = await serve((request, response) => {
      const start = startOf(request);
      if (CONTENT.length - start <= cutAfter) return sendPart(request, response, cutAfter);
      response.writeHead(start === 0 ? 200 : 206, rangeHeaders(request)).write(CONTENT.slice(start, start + cutAfter));
      held = { response, end: start + cutAfter };
    });
    let position = 0;
    for await (const chunk of repository.read(BLOB)) {
      position += chunk.length;
      if (held === undefined || position < held.end) continue;
      held.response.destroy();
      held = undefined;
    }
    expect(position).toBe(CONTENT.length);
    expect(seen.map(({ headers }) => headers.range)).toEqual([
      undefined,
      "bytes=300000-",
      "bytes=600000-",
      "bytes=900000-",
    ]);
  });

  it("is fetched on also from a server that knows no ranges", async () => {
    let requests = 0;
    const repository = await serve((request, response) => {
      request.headers.range = undefined;
      sendPart(request, response, requests++ === 0 ? 300_000 : CONTENT.length);
    });
    expect(await size(repository.read(BLOB))).toBe(CONTENT.length);
    expect(requests).toBe(2);
  });

  it("is given up when cuts bring nothing forward", async () => {
    const repository = await serve((request, response) => sendPart(request, response, 10));
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({ code: "unavailable" });
    expect(seen.length).toBe(4);
  });

  it("is fetched on, too, when it stops to come", async () => {
    registry = open({ stallMs: 500 });
    let requests = 0;
    const repository = await serve((request, response) => {
      if (requests++ > 0) return sendPart(request, response, CONTENT.length);
      response.writeHead(200, rangeHeaders(request)).write(CONTENT.slice(0, 300_000));
    });
    expect(await size(repository.read(BLOB))).toBe(CONTENT.length);
    expect(seen.map(({ headers }) => headers.range)).toEqual([undefined, "bytes=300000-"]);
  });

  it("is given up when nothing comes of it again and again, and how much there was is told", async () => {
    registry = open({ stallMs: 500 });
    const repository = await serve((request, response) => {
      const start = startOf(request);
      response.writeHead(start === 0 ? 200 : 206, rangeHeaders(request)).flushHeaders();
      if (start === 0) response.write(CONTENT.slice(0, 300_000));
    });
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({
      code: "unavailable",
      message: `fetching ${BLOB.digest} of ${repository.name}: nothing arrives any more after 300000 of ${CONTENT.length} bytes`,
    });
    expect(seen.length).toBe(4);
  });

  it("of which the registry has lost the end is told to be short", async () => {
    const repository = await serve((request, response) => {
      if (request.headers.range !== undefined) return response.writeHead(416).end();
      return response.end(CONTENT.slice(0, 1000));
    });
    await expect(readAll(repository, BLOB, BLOB.size)).rejects.toMatchObject({
      code: "data-loss",
      message: expect.stringMatching(/^fetching sha256:\S+ of \S+\/app: the registry has only 1000 bytes of it$/),
    });
  });

  it("is refused where the range is another than was asked for", async () => {
    let requests = 0;
    const repository = await serve((request, response) => {
      if (requests++ === 0) return sendPart(request, response, 300_000);
      response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("56789");
    });
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("got them from 5"),
    });
  });

  it("is refused when it is another than its digest says", async () => {
    const repository = await serve((_, response) => response.end("x".repeat(CONTENT.length)));
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({ code: "data-loss" });
  });

  it("is left when it doesn't end where it should", async () => {
    const repository = await serve((_, response) => {
      const more = (): void => void (response.destroyed || response.write("x".repeat(65_536), more));
      more();
    });
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({
      code: "data-loss",
      message: expect.stringContaining("more than"),
    });
  });
});

describe("a layer that may not be distributed", () => {
  it("is fetched, verified and without a credential, from where the manifest says", async () => {
    const elsewhere = await listen((request, response) => {
      if (request.url === "/wrong") response.end("x".repeat(CONTENT.length));
      else sendPart(request, response, CONTENT.length);
    });
    const repository = await serve((request, response) => {
      const isKnown = request.headers.authorization !== undefined;
      response.writeHead(isKnown ? 404 : 401, { "www-authenticate": "Basic" }).end();
    });
    const at = (...urls: string[]) => size(repository.read({ ...BLOB, urls }));
    expect(await at("ftp://x/", "/etc/passwd", `http://${elsewhere}/layer`)).toBe(CONTENT.length);
    const there = seen.filter(({ headers }) => headers.host === elsewhere);
    expect(there.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    await expect(at(`http://${elsewhere}/wrong`)).rejects.toMatchObject({ code: "data-loss" });
    await expect(at("file:///etc/passwd")).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("a manifest", () => {
  it("is refused, unread, when it is gigantic", async () => {
    const repository = await serve((request, response) => {
      if (request.method === "HEAD") return response.writeHead(405).end();
      const more = (): void => void (response.destroyed || response.write(" ".repeat(1_000_000), more));
      more();
    });
    await expect(repository.resolve({ tag: "one" })).rejects.toMatchObject({
      code: "invalid",
      message: expect.stringContaining(`more than ${MANIFEST_BYTES_MAX} bytes`),
    });
    const announced = { mediaType: MediaType.ociManifest, digest: digestOf(""), size: MANIFEST_BYTES_MAX + 1 };
    await expect(readAll(repository, announced, MANIFEST_BYTES_MAX)).rejects.toMatchObject({ code: "invalid" });
  });

  it("is refused when it is another than the digest asked for, by HEAD or by GET", async () => {
    const digest = digestOf("other");
    const telling = await serve((_, response) => {
      const headers = {
        "content-type": MediaType.ociManifest,
        "docker-content-digest": digestOf(MANIFEST),
        "content-length": MANIFEST.length,
      };
      response.writeHead(200, headers).end(MANIFEST);
    });
    const silent = await serve((_, response) => response.end(MANIFEST));
    for (const repository of [telling, silent]) {
      await expect(repository.resolve({ digest })).rejects.toMatchObject({ code: "data-loss" });
    }
  });

  it("is found by GET where HEAD tells too little, on the same connection", async () => {
    const ports = new Set<number | undefined>();
    const repository = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.end(MANIFEST);
    });
    expect(await repository.resolve({ tag: "one" })).toEqual({
      mediaType: MediaType.ociManifest,
      digest: digestOf(MANIFEST),
      size: MANIFEST.length,
    });
    expect(ports.size).toBe(1);
  });

  it("of Docker's schema 1 is told to be one, malformed or another than the digest asked for", async () => {
    const old = { schemaVersion: 1, fsLayers: [{ blobSum: BLOB.digest }], history: [{ v1Compatibility: "{}" }] };
    const answers = [old, old, { ...old, history: [] }].map((answer) => JSON.stringify(answer));
    const repository = await serve((request, response) =>
      response.end(request.method === "GET" ? answers.shift() : undefined),
    );
    const known = { code: "unsupported", image: { layers: [{ blob: BLOB.digest }] } };
    await expect(repository.resolve({ tag: "one" })).rejects.toMatchObject(known);
    await expect(repository.resolve({ digest: BLOB.digest })).rejects.toMatchObject({ code: "data-loss" });
    await expect(repository.resolve({ tag: "one" })).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("redirects", () => {
  it("are followed without the credential where they lead elsewhere", async () => {
    const elsewhere = await listen((request, response) => sendPart(request, response, CONTENT.length));
    const repository = await serve((request, response) => {
      if (request.headers.authorization === undefined)
        return response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      response.writeHead(307, { location: `http://${elsewhere}/there` }).end();
    });
    expect(await size(repository.read(BLOB))).toBe(CONTENT.length);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      expect.stringMatching(/^Basic /),
      undefined,
    ]);
  });

  it("are followed with it on the same host", async () => {
    const repository = await serve((request, response) => {
      if (request.headers.authorization === undefined)
        return response.writeHead(401, { "www-authenticate": "Basic" }).end();
      if (request.url !== "/there") return response.writeHead(302, { location: "/there" }).end();
      sendPart(request, response, CONTENT.length);
    });
    expect(await size(repository.read(BLOB))).toBe(CONTENT.length);
    expect(seen.at(-1)?.headers.authorization).toMatch(/^Basic /);
  });

  it("to who asks for a credential end there", async () => {
    const tokens = await listen((_, response) => response.end(JSON.stringify({ token: "t" })));
    for (const challenge of ["Basic", `Bearer realm="http://${tokens}/"`]) {
      seen = [];
      const elsewhere = await listen((_, response) => response.writeHead(401, { "www-authenticate": challenge }).end());
      const repository = await serve((_, response) =>
        response.writeHead(307, { location: `http://${elsewhere}/there` }).end(),
      );
      await expect(size(repository.read(BLOB))).rejects.toMatchObject({ code: "denied" });
      expect(seen.map(({ url }) => url)).toEqual([`/v2/app/blobs/${BLOB.digest}`, "/there"]);
      expect(seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    }
  });

  it("end somewhere", async () => {
    const repository = await serve((_, response) => response.writeHead(302, { location: "/again" }).end());
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("redirects"),
    });
  });

  it("to what is no web address are refused", async () => {
    const repository = await serve((_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end());
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("refusing"),
    });
  });
});

it("a registry is reached through the proxy, by a tunnel if by TLS, unless its host is exempt", async () => {
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end(MANIFEST);
  }).on("connect", (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  servers.push(proxy);
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const host = await listen((_, response) => response.end(MANIFEST));
  const resolve = async (registryName: string, none: string): Promise<string> => {
    const hosts = new Map([["plain.test:5000", { scheme: "http" } as const]]);
    const way = { http: address, https: address, none };
    await using proxied = createRegistry({ clock: systemClock, hosts, proxy: way, retryDelaysMs: [] });
    return (await proxied.repository(parseReference(`${registryName}/app`)).resolve({ tag: "one" })).digest;
  };
  expect(await resolve("plain.test:5000", "")).toBe(digestOf(MANIFEST));
  expect(asked).toEqual(Array(2).fill("http://plain.test:5000/v2/app/manifests/one"));
  asked.length = 0;
  await expect(resolve("secure.test:5000", "")).rejects.toMatchObject({ code: "unavailable" });
  expect(asked).toEqual(["CONNECT secure.test:5000"]);
  asked.length = 0;
  expect(await resolve(host, "127.0.0.1")).toBe(digestOf(MANIFEST));
  expect(asked).toEqual([]);
});

describe("a registry in trouble", () => {
  it("is asked again when it is overloaded or broken, as soon as it allows", async () => {
    let requests = 0;
    const repository = await serve((_, response) => {
      requests++;
      if (requests === 1) return response.writeHead(429, { "retry-after": "0" }).end();
      if (requests === 2) return response.writeHead(503).end();
      if (requests === 3) return response.destroy();
      response.end(MANIFEST);
    });
    expect((await repository.resolve({ tag: "one" })).digest).toBe(digestOf(MANIFEST));
  });

  it("is believed when it goes on refusing", async () => {
    const body = JSON.stringify({
      errors: [{ code: "TOOMANYREQUESTS", message: "You have reached your \u001b[31mpull rate limit.\n" }],
    });
    const repository = await serve((_, response) => response.writeHead(429, { "retry-after": "0" }).end(body));
    const blob = size(repository.read(BLOB));
    await expect(blob).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("toomanyrequests: You have reached your [31mpull rate limit."),
    });
    expect(seen).toHaveLength(4);
  });

  it("is not asked again for what it forbids", async () => {
    const repository = await serve((_, response) => response.writeHead(403).end("<html>"));
    await expect(size(repository.read(BLOB))).rejects.toMatchObject({
      code: "denied",
      message: expect.stringMatching(
        /unexpected status from GET request to http:\/\/127.*\/blobs\/sha256:[0-9a-f]+: 403$/,
      ),
    });
    expect(seen).toHaveLength(1);
  });

  it("can't make us ask for tokens without end, or send a password where it likes", async () => {
    const challenges = [
      'Bearer realm="nonsense"',
      'Bearer realm="ftp://x/"',
      "Basic",
      "Digest nonce=1",
      "",
      'Bearer error="insufficient_scope"',
    ];
    for (const challenge of challenges) {
      seen = [];
      const repository = await serve((_, response) => response.writeHead(401, { "www-authenticate": challenge }).end());
      const error = await repository.resolve({ tag: "one" }).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code: "denied" });
      expect(String(error)).not.toContain("pass-word");
      expect(seen.length).toBeLessThanOrEqual(2);
    }
  });

  it.each([
    ["no JSON", "<html>"],
    ["no token", "{}"],
    ["a token that is no header", JSON.stringify({ token: "a\r\nb: c" })],
    ["an endless token", `{"token": "${"x".repeat(2_000_000)}"}`],
  ])("is not trusted when its token server gives %s", async (_, answer) => {
    const tokens = await listen((__, response) => response.end(answer));
    const realm = `Bearer realm="http://${tokens}/token",service="s, t",scope="repository:app:pull"`;
    const repository = await serve((__, response) => response.writeHead(401, { "www-authenticate": realm }).end());
    await expect(repository.resolve({ tag: "one" })).rejects.toMatchObject({
      code: expect.stringMatching(/invalid|denied/),
    });
  });

  it("is not asked again and again with tokens that don't help", async () => {
    let given = 0;
    const tokens = await listen((request, response) =>
      request.method === "POST"
        ? response.writeHead(405).end()
        : response.end(JSON.stringify({ token: `t${++given}` })),
    );
    const realm = `Bearer realm="http://${tokens}/",scope="repository:other:push registry:catalog:*"`;
    const repository = await serve((_, response) => response.writeHead(401, { "www-authenticate": realm }).end());
    await expect(repository.resolve({ tag: "one" })).rejects.toMatchObject({ code: "denied" });
    expect(given).toBe(1);
    const asked = seen.find(({ headers, method }) => headers.host === tokens && method === "GET");
    expect(new URL(asked?.url ?? "", "http://x").searchParams.getAll("scope")).toEqual([
      "repository:app:pull",
      "repository:other:push",
      "registry:catalog:*",
    ]);
  });

  it("gets a new token when the old one is too old", async () => {
    let now = 0;
    let given = 0;
    await using aging = createRegistry({ clock: { now: () => now }, retryDelaysMs: [] });
    const tokens = await listen((_, response) =>
      response.end(JSON.stringify({ access_token: `t${++given}`, expires_in: 100 })),
    );
    const host = await listen((request, response) => {
      const isGood = request.headers.authorization === `Bearer t${given}` && given > 0;
      response.writeHead(isGood ? 200 : 401, { "www-authenticate": `Bearer realm="http://${tokens}/"` }).end(MANIFEST);
    });
    const repository = aging.repository(parseReference(`${host}/app`));
    for (const [time, expected] of [
      [0, 1],
      [89_000, 1],
      [91_000, 2],
    ] as const) {
      now = time;
      await repository.resolve({ tag: "one" });
      expect(given).toBe(expected);
    }
  });
});
