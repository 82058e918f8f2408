import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, EngineError, errorCode, redactCredentials, systemClock } from "../../src/base/index.js";
import type { HttpClient, ProxyOptions } from "../../src/registry/index.js";
import { openSecrets } from "../../src/session/index.js";
import {
  createHttpDownloads,
  createHttpEntities,
  createWebClient,
  type HttpDownloads,
  type HttpEntities,
  httpEntityMigrations,
  safeFileName,
  type TrustOptions,
} from "../../src/sources/index.js";
import { type Database, openDatabase } from "../../src/store/index.js";
import { entity, plain, startWebServer, type WebServer } from "./web-server.js";

const SIGNAL = new AbortController().signal;
const HOST = "127.0.0.1";

let dir: string;
let database: Database;
let entities: HttpEntities;
let server: WebServer;
const clients: HttpClient[] = [];

beforeEach(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-http-"));
  database = await openDatabase(path.join(dir, "db"), httpEntityMigrations);
  entities = createHttpEntities(database, systemClock);
  server = await startWebServer();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await server[Symbol.asyncDispose]();
  database.close();
  fs.rmSync(dir, { recursive: true });
});

interface Lent {
  readonly secrets?: Readonly<Record<string, string>>;
  readonly proxy?: ProxyOptions;
  readonly trust?: TrustOptions;
  readonly retryDelaysMs?: readonly number[];
}

/** What one build sees. */
async function build({ secrets = {}, proxy, trust = {}, retryDelaysMs = [] }: Lent = {}): Promise<HttpDownloads> {
  const client = createWebClient(trust, proxy);
  clients.push(client);
  const specs = Object.entries(secrets).map(([id, value]) => {
    return { id, source: "value", value: Buffer.from(value) } as const;
  });
  let count = 0;
  fs.mkdirSync(path.join(dir, "tmp"), { recursive: true });
  const temporary = (kind: string) => path.join(dir, "tmp", `${kind}-${clients.length}-${count++}`);
  return createHttpDownloads({ client, entities, secrets: await openSecrets(specs), temporary, retryDelaysMs });
}

const temporaries = () => fs.readdirSync(path.join(dir, "tmp"));

describe("what an address holds", () => {
  it("is told by its digest and by the time the server says, and can be taken as a file", async () => {
    server.answer("/a", plain("content", { "last-modified": "Tue, 15 Nov 1994 08:12:31 GMT" }));
    await using downloads = await build();
    const body = await downloads.look(`${server.url}/a`, { signal: SIGNAL });
    expect(body).toMatchObject({ digest: digestOf("content"), lastModified: 784887151 });
    const file = await downloads.take(`${server.url}/a`, { signal: SIGNAL });
    expect(fs.readFileSync(file.path, "utf8")).toBe("content");
    expect(server.asked()).toEqual(["GET /a"]);
  });

  it("is asked once a build, however many want it", async () => {
    server.answer("/a", plain("content"));
    await using downloads = await build();
    const looks = [1, 2, 3].map(() => downloads.look(`${server.url}/a`, { signal: SIGNAL }));
    expect(new Set((await Promise.all(looks)).map(({ digest }) => digest))).toEqual(new Set([digestOf("content")]));
    expect(server.asked()).toEqual(["GET /a"]);
  });

  it("leaves no file behind that nobody took", async () => {
    server.answer("/a", plain("content"));
    {
      await using downloads = await build();
      await downloads.look(`${server.url}/a`, { signal: SIGNAL });
      expect(temporaries()).toHaveLength(1);
    }
    expect(temporaries()).toEqual([]);
  });

  it("has no time where the server gives none, or one that is none", async () => {
    server.answer("/a", plain("a"));
    server.answer("/b", plain("b", { "last-modified": "yesterday" }));
    await using downloads = await build();
    for (const name of ["a", "b"])
      expect(await downloads.look(`${server.url}/${name}`, { signal: SIGNAL })).toMatchObject({
        lastModified: undefined,
      });
  });

  it("is unpacked where it was packed for the way only", async () => {
    server.answer("/a", plain(gzipSync("content"), { "content-encoding": "gzip" }));
    await using downloads = await build();
    expect(await downloads.look(`${server.url}/a`, { signal: SIGNAL })).toMatchObject({ digest: digestOf("content") });
  });

  it("is refused where it is packed and damaged", async () => {
    server.answer("/a", plain("no gzip", { "content-encoding": "gzip" }));
    await using downloads = await build();
    await expect(downloads.look(`${server.url}/a`, { signal: SIGNAL })).rejects.toMatchObject({ code: "data-loss" });
    expect(temporaries()).toEqual([]);
  });
});

describe("a body that was seen before", () => {
  const address = () => `${server.url}/a`;
  const look = async () => {
    await using downloads = await build();
    return await downloads.look(address(), { signal: SIGNAL });
  };

  it("is not sent again while its tag is the same", async () => {
    server.answer("/a", entity("content", { "last-modified": "Tue, 15 Nov 1994 08:12:31 GMT" }));
    const first = await look();
    const { digest, lastModified } = await look();
    expect({ digest, lastModified }).toEqual({ digest: first.digest, lastModified: first.lastModified });
    expect(server.asked()).toEqual(["GET /a", "HEAD /a"]);
  });

  it("is known again by a weak tag, and by a 304 that has none", async () => {
    server.answer("/a", plain("content", { etag: 'W/"x"' }));
    await look();
    server.answer("/a", (_, response) => void response.writeHead(200, { etag: '"x"' }).end());
    expect(await look()).toMatchObject({ digest: digestOf("content") });
    server.answer("/a", (_, response) => void response.writeHead(304).end());
    expect(await look()).toMatchObject({ digest: digestOf("content") });
    expect(server.asked()).toEqual(["GET /a", "HEAD /a", "HEAD /a"]);
  });

  it("is known by GET from a server that does not answer HEAD", async () => {
    const answer = entity("content");
    server.answer("/a", (request, response) => {
      if (request.method === "HEAD") response.writeHead(405).end();
      else answer(request, response);
    });
    await look();
    expect(await look()).toMatchObject({ digest: digestOf("content") });
    expect(server.asked()).toEqual(["GET /a", "HEAD /a", "GET /a"]);
  });

  it("gives way to a new one, and is known when it comes back", async () => {
    server.answer("/a", entity("old"));
    await look();
    server.answer("/a", entity("new"));
    expect(await look()).toMatchObject({ digest: digestOf("new") });
    server.answer("/a", entity("old"));
    expect(await look()).toMatchObject({ digest: digestOf("old") });
    expect(server.asked()).toEqual(["GET /a", "HEAD /a", "GET /a", "HEAD /a"]);
  });

  it("is sent again by a server without tags, and by one that says 304 to a tag nobody has", async () => {
    server.answer("/a", plain("content"));
    await look();
    await look();
    expect(server.asked()).toEqual(["GET /a", "GET /a"]);
    server.answer("/a", plain("content", { etag: '"1"' }));
    await look();
    server.answer("/a", (_, response) => void response.writeHead(304, { etag: '"2"' }).end());
    await expect(look()).rejects.toMatchObject({ code: "failed" });
  });

  it("is not remembered without end", async () => {
    for (let i = 0; i < 10; i++) {
      server.answer("/a", entity(`content ${i}`));
      await look();
    }
    const tags = server.seen.at(-1)?.headers["if-none-match"]?.split(", ") ?? [];
    expect(tags).toHaveLength(4);
  });

  it("is downloaded again, and told apart, where only its digest is left", async () => {
    server.answer("/a", entity("content"));
    await look();
    await using downloads = await build();
    await downloads.look(address(), { signal: SIGNAL });
    const file = await downloads.take(address(), { signal: SIGNAL });
    expect(file.digest).toBe(digestOf("content"));
    expect(server.asked()).toEqual(["GET /a", "HEAD /a", "GET /a"]);
  });
});

describe("what goes wrong", () => {
  const failure = async (url: string, lent?: Lent): Promise<EngineError> => {
    await using downloads = await build(lent);
    const error: unknown = await downloads.look(url, { signal: SIGNAL }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EngineError);
    expect(temporaries()).toEqual([]);
    return error as EngineError;
  };

  it.each([
    [404, "not-found"],
    [410, "not-found"],
    [401, "denied"],
    [403, "denied"],
    [418, "failed"],
    [503, "unavailable"],
  ])("a status %i is %s", async (status, code) => {
    server.answer("/a", (_, response) => void response.writeHead(status).end("secret words of the server"));
    const error = await failure(`${server.url}/a`);
    expect(error).toMatchObject({ code });
    expect(error.message).toBe(`failed to download ${server.url}/a: invalid response status ${status}`);
  });

  it("what may pass is tried again, and a body that was cut from its beginning", async () => {
    let tries = 0;
    server.answer("/a", (_, response) => {
      tries++;
      if (tries === 1) return void response.writeHead(429, { "retry-after": "0" }).end();
      if (tries === 2) return void response.writeHead(502).end();
      response.writeHead(200, { "content-length": "7" });
      if (tries === 3) return void response.write("con", () => response.destroy());
      response.end("content");
    });
    await using downloads = await build({ retryDelaysMs: [1, 1, 1] });
    expect(await downloads.look(`${server.url}/a`, { signal: SIGNAL })).toMatchObject({ digest: digestOf("content") });
    expect(tries).toBe(4);
    expect(temporaries()).toHaveLength(1);
  });

  it("a body that is always cut is given up, and nothing of it stays", async () => {
    server.answer("/a", (_, response) => {
      response.writeHead(200, { "content-length": "7" });
      response.write("con", () => response.destroy());
    });
    expect(await failure(`${server.url}/a`, { retryDelaysMs: [1] })).toMatchObject({ code: "unavailable" });
    expect(server.asked()).toEqual(["GET /a", "GET /a"]);
  });

  it("a circle of redirects ends, and none leads to another protocol", async () => {
    server.answer("/a", (_, response) => void response.writeHead(302, { location: "/a" }).end());
    expect(await failure(`${server.url}/a`)).toMatchObject({ code: "failed" });
    server.answer("/b", (_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end());
    expect(await failure(`${server.url}/b`)).toMatchObject({ code: "failed" });
  });

  it("a cancellation ends a download at once and leaves nothing", async () => {
    const controller = new AbortController();
    server.answer("/a", (_, response) => {
      response.writeHead(200);
      response.write("a beginning without an end", () => controller.abort());
    });
    await using downloads = await build();
    const error = await downloads.look(`${server.url}/a`, { signal: controller.signal }).catch((thrown) => thrown);
    expect(errorCode(error)).toBe("canceled");
    expect(temporaries()).toEqual([]);
  });

  it("what is no address is refused", async () => {
    await using downloads = await build();
    await expect(downloads.look("http://[", { signal: SIGNAL })).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("credentials", () => {
  const authorizations = () => server.seen.map(({ headers }) => headers.authorization);

  it("come from secrets of the host, a token first, and else from the address", async () => {
    server.answer("/a", plain("content"));
    const at = async (secrets: Record<string, string>) => {
      await using downloads = await build({ secrets });
      await downloads.look(`http://us%40er:p%2Fw@${HOST}:${server.port}/a`, { signal: SIGNAL });
    };
    await at({});
    await at({ [`HTTP_AUTH_HEADER_${HOST}`]: "Custom x" });
    await at({ [`HTTP_AUTH_HEADER_${HOST}`]: "Custom x", [`HTTP_AUTH_TOKEN_${HOST}`]: "tok\n" });
    await at({ HTTP_AUTH_TOKEN_example: "tok" });
    const basic = `Basic ${Buffer.from("us@er:p/w").toString("base64")}`;
    expect(authorizations()).toEqual([basic, "Custom x", "Bearer tok", basic]);
  });

  it("follow a redirect on the same origin, and to no other", async () => {
    await using other = await startWebServer();
    other.answer("/b", plain("content"));
    server.answer("/a", (_, response) => void response.writeHead(302, { location: "/c" }).end());
    server.answer("/c", (_, response) => void response.writeHead(302, { location: `${other.url}/b` }).end());
    await using downloads = await build({ secrets: { [`HTTP_AUTH_TOKEN_${HOST}`]: "tok" } });
    await downloads.look(`${server.url}/a`, { signal: SIGNAL });
    expect(authorizations()).toEqual(["Bearer tok", "Bearer tok"]);
    expect(other.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it("that are no one line are refused, and never told", async () => {
    await using downloads = await build({ secrets: { [`HTTP_AUTH_HEADER_${HOST}`]: "se\r\ncret: x" } });
    const error: unknown = await downloads.look(`${server.url}/a`, { signal: SIGNAL }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "invalid" });
    expect(String(error)).not.toContain("cret: x");
    expect(server.seen).toEqual([]);
  });

  it("in an address are not part of an error, nor of what is remembered", async () => {
    await using downloads = await build();
    const url = `http://user:hunter2@${HOST}:${server.port}/a?sig=hunter3`;
    const error: unknown = await downloads.look(url, { signal: SIGNAL }).catch((thrown) => thrown);
    expect(String(error)).toContain(`http://${HOST}:${server.port}/a?…`);
    expect(String(error)).not.toMatch(/hunter/);
    server.answer("/a", entity("content"));
    await using again = await build();
    await again.look(url, { signal: SIGNAL });
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    expect(fs.readFileSync(path.join(dir, "db"), "latin1")).not.toMatch(/hunter/);
  });

  it("are masked in texts, but for the user of ssh", () => {
    const text = "ADD https://u:p@h/x http://tok@h git://u:p@h/y ssh://git@h/z ssh://git:pw@h/z git@h:z user@host /";
    expect(redactCredentials(text)).toBe(
      "ADD https://xxxxx@h/x http://xxxxx@h git://xxxxx@h/y ssh://git@h/z ssh://git@h/z git@h:z user@host /",
    );
  });
});

describe("the way there", () => {
  it("leads through the proxy, but to hosts that need none", async () => {
    const asked: string[] = [];
    const proxy = http.createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.end("by proxy");
    });
    proxy.on("connect", (request, socket: net.Socket) => {
      asked.push(`CONNECT ${request.url}`);
      const upstream = net.connect(server.port, HOST, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [socket, upstream]) end.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, HOST, resolve));
    server.answer("/a", plain("content"));
    try {
      const { port } = proxy.address() as AddressInfo;
      const lent = { proxy: { http: `http://${HOST}:${port}`, none: HOST } };
      await using downloads = await build(lent);
      await downloads.look("http://far.test/a", { signal: SIGNAL });
      expect(asked).toHaveLength(1);
      expect(asked[0]).toContain("far.test");
      await downloads.look(`${server.url}/a`, { signal: SIGNAL });
      expect(asked).toHaveLength(1);
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  it("is trusted by the authorities in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS, and else not", async (context) => {
    const [key, certificate] = [path.join(dir, "key.pem"), path.join(dir, "cert.pem")];
    const names = ["-subj", "/CN=test", "-addext", `subjectAltName=IP:${HOST}`, "-days", "2"];
    try {
      const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...names, "-keyout", key, "-out", certificate];
      execFileSync("openssl", words, { stdio: "ignore" });
    } catch {
      context.skip("openssl is not installed");
    }
    const tls = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, (_, response) => {
      response.end("content");
    });
    await new Promise<void>((resolve) => tls.listen(0, HOST, resolve));
    try {
      const url = `https://${HOST}:${(tls.address() as AddressInfo).port}/a`;
      for (const trust of [{ file: certificate }, { extraFile: certificate }]) {
        await using downloads = await build({ trust });
        expect(await downloads.look(url, { signal: SIGNAL })).toMatchObject({ digest: digestOf("content") });
      }
      await using downloads = await build();
      await expect(downloads.look(url, { signal: SIGNAL })).rejects.toMatchObject({ code: "unavailable" });
    } finally {
      tls.closeAllConnections();
      tls.close();
    }
  });
});

it("a file is kept under a plain name", () => {
  const names = ["a.txt", "../a", "/x/y", "", ".", "..", "a\nb", " b ", "\0"].map(safeFileName);
  expect(names).toEqual(["a.txt", "a", "y", "download", "download", "download", "download", "b", "download"]);
});
