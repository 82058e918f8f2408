import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import { MediaType, parseReference, readAll } from "../../src/oci/index.js";
import { createRegistry, hostsOfFiles, type Registry } from "../../src/registry/index.js";
import { createContentStore } from "../../src/store/index.js";
import { hasDockerRegistry, rootOf, startRegistry, testImage } from "./docker-registry.js";

const image = testImage(["layer"], { os: "linux", architecture: "amd64" });

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "hosts-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const config = async (text: string, name = "registries.toml"): Promise<string> => {
  await writeFile(path.join(dir, name), text);
  return path.join(dir, name);
};
const hostsOf = (configFiles: readonly string[]) => hostsOfFiles({ configFiles, certificateDirectories: [dir] });
const registryOf = (configFile: string): Registry =>
  createRegistry({ clock: systemClock, hosts: hostsOf([configFile]), retryDelaysMs: [] });

describe("registries.toml", () => {
  it("says how registries are reached", async () => {
    await config("AUTHORITY", "one.pem");
    await config("KEY", "one.key");
    const file = await config(`# comment
[registry."docker.io"]
  mirrors = ["mirror.example:5000/hub", 'second.example', ] # and more
[registry."plain.example:80"]
  http = true
[registry."self-signed.example"]
  insecure = true
  ca = ["one.pem"]
[registry."any.example"]
  insecure = true
  http = true
[registry."mutual.example"]
  ca = [
    "one.pem", # ours
  ]
  [[registry."mutual.example".keypair]]
    key = "one.key"
    cert = "one.pem"
`);
    const hosts = hostsOf([path.join(dir, "nowhere.toml"), file]);
    expect(hosts.mirrors?.("docker.io")).toEqual(["mirror.example:5000/hub", "second.example"]);
    expect(hosts.mirrors?.("plain.example:80")).toEqual([]);
    expect(hosts.get("docker.io")).toBeUndefined();
    expect(hosts.get("other.example")).toBeUndefined();
    expect(hosts.get("constructor")).toBeUndefined();
    expect(hosts.get("plain.example:80")).toEqual({ scheme: "http" });
    expect(hosts.get("self-signed.example")).toEqual({ scheme: "https", verify: false, ca: "AUTHORITY" });
    expect(hosts.get("any.example")).toEqual({ scheme: "insecure" });
    const clientCertificates = [{ certificate: "AUTHORITY", key: "KEY" }];
    expect(hosts.get("mutual.example")).toEqual({ scheme: "https", ca: "AUTHORITY", clientCertificates });
  });

  it("of the user goes before the machine's, registry by registry", async () => {
    const own = await config('[registry."a.example"]\nhttp = true\n', "own.toml");
    const all = await config('[registry."a.example"]\ninsecure = true\n[registry."b.example"]\nhttp=true\n');
    const hosts = hostsOf([own, all]);
    expect(["a.example", "b.example"].map((name) => hosts.get(name))).toEqual([{ scheme: "http" }, { scheme: "http" }]);
  });

  it.each([
    ["[registry.x]\nhttp = yes\n", "line 2: a value can't be read"],
    ["[registry.x]\nhttp = true\nhttp = false\n", "line 3: http is there twice"],
    ["[registry.x]\n[registry.x]\n", "the table x is there twice"],
    ["[registry.x]\nhttps = true\n", "registry.x.https"],
    ["[registry.x]\nmirrors = 'one'\n", "registry.x.mirrors"],
    ["[registry.x]\nhtpp = true\n", "registry.x.htpp: there is no such key"],
    ["[registry.x]\nmirrors = ['https://one']\n", "HOST[:PORT][/PATH]"],
    ["[worker]\n", "worker"],
    ["[registry\n", "line 1: a table's name has no end"],
    ['[registry.x]\nca = ["a"\n', "an array has no end"],
    ['[registry.x]\nca = ["\\q"]\n', "\\q stands for nothing"],
    ["registry.x.http = true x\n", "line 1: a line goes on"],
    [`x = ${"[".repeat(100_000)}`, "a value can't be read"],
  ])("%j is refused with its place", async (text, words) => {
    const file = await config(text);
    const asked = () => hostsOf([file]).get("x");
    expect(asked).toThrow(expect.objectContaining({ code: "invalid", message: expect.stringContaining(words) }));
    expect(asked).toThrow(file);
  });

  it("takes no key for a prototype", async () => {
    const file = await config('["__proto__"]\nx = 1\n');
    expect(() => hostsOf([file]).get("x")).toThrow("__proto__");
    expect(({} as { x?: number }).x).toBeUndefined();
  });
});

describe.skipIf(!hasDockerRegistry)("a registry with a certificate of its own authority", () => {
  it("is trusted by what lies in certs.d, and by who trusts anything", async () => {
    await using server = await startRegistry("tls");
    await server.put("app", "one", image);
    const reference = parseReference(`${server.name}/app`);
    const nothing = await config("");
    const resolve = async (file: string, insecure = false) => {
      await using registry = registryOf(file);
      return (await registry.repository(reference, { insecure }).resolve({ tag: "one" })).digest;
    };
    await expect(resolve(nothing)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("certificate can't be trusted"),
    });
    const insecure = await config(`[registry."${server.name}"]\ninsecure = true\n`, "insecure.toml");
    const any = await config(`[registry."${server.name}"]\ninsecure = true\nhttp = true\n`, "any.toml");
    expect(await resolve(insecure)).toBe(rootOf(image).digest);
    expect(await resolve(any)).toBe(rootOf(image).digest);
    await mkdir(path.join(dir, server.name));
    await writeFile(path.join(dir, server.name, "ca.crt"), server.ca);
    expect(await resolve(nothing)).toBe(rootOf(image).digest);
    await writeFile(path.join(dir, server.name, "me.cert"), server.ca);
    await expect(resolve(nothing)).rejects.toMatchObject({
      code: "invalid",
      message: expect.stringMatching(/missing key me\.key/),
    });
  });

  it("that wants to know its clients gets their certificate", async () => {
    await using server = await startRegistry("mutual");
    const certificates = path.join(dir, server.name);
    await mkdir(certificates);
    await writeFile(path.join(certificates, "ca.crt"), server.ca);
    const ping = async () => {
      await using registry = registryOf(await config(""));
      await registry.ping(server.name);
    };
    await expect(ping()).rejects.toMatchObject({ code: "unavailable" });
    await writeFile(path.join(certificates, "me.cert"), server.client.certificate);
    await writeFile(path.join(certificates, "me.key"), server.client.key);
    await ping();
  });

  it("that speaks no TLS is reached all the same by who trusts anything", async () => {
    await using server = await startRegistry("plain");
    await server.put("app", "one", image);
    await using registry = registryOf(await config(`[registry."${server.name}"]\ninsecure = true\nhttp = true\n`));
    const repository = registry.repository(parseReference(`${server.name}/app`));
    expect((await repository.resolve({ tag: "one" })).digest).toBe(rootOf(image).digest);
  });
});

describe("a file that somebody names", () => {
  it("must be there", () => {
    const files = { configFiles: [path.join(dir, "none.toml")], certificateDirectories: [] };
    expect(hostsOfFiles(files).get("x.example")).toBeUndefined();
    const named = hostsOfFiles({ ...files, mustExist: true });
    expect(() => named.get("x.example")).toThrow(/none\.toml: no such file/);
  });
});

describe("mirrors", () => {
  let servers: Server[];
  beforeEach(() => {
    servers = [];
  });
  afterEach(() => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });
  /** A registry that holds the image; SPOIL may answer in its place. */
  async function serve(
    seen: string[],
    spoil: (request: IncomingMessage) => number | "cut" | undefined = () => undefined,
  ) {
    const all = new Map(
      [...image.blobs, ...image.documents.map(({ bytes }) => bytes)].map((one) => [digestOf(one), one]),
    );
    const server = createServer((request, response) => {
      seen.push(request.url ?? "");
      const answer = spoil(request);
      const name = (request.url ?? "").replace(/\?.*$/, "").split("/").at(-1) ?? "";
      const bytes = all.get(name as never) ?? image.documents[0]?.bytes ?? Buffer.alloc(0);
      const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (typeof answer === "number") return response.writeHead(answer).end();
      const headers = { "content-type": MediaType.ociManifest, "docker-content-digest": digestOf(bytes) };
      const range = start > 0 ? { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
      response.writeHead(start > 0 ? 206 : 200, { ...headers, ...range, "content-length": bytes.length - start });
      if (answer === "cut")
        response.write(bytes.subarray(start, start + 2), () => setImmediate(() => response.destroy()));
      else response.end(request.method === "HEAD" ? undefined : bytes.subarray(start));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const layer = { mediaType: "x", digest: digestOf("layer"), size: 5 };
  /** A registry that has the same for all questions. */
  async function give(bytes: Buffer) {
    const server = createServer((_, response) => response.end(bytes));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it("are read first, and told for whom they stand", async () => {
    const [atMirror, atOrigin]: [string[], string[]] = [[], []];
    const mirror = await serve(atMirror);
    const origin = await serve(atOrigin);
    await using registry = registryOf(await config(`[registry."${origin}"]\nmirrors = ["${mirror}/cache/hub"]\n`));
    const repository = registry.repository(parseReference(`${origin}/team/app`));
    expect((await repository.resolve({ tag: "one" })).digest).toBe(rootOf(image).digest);
    expect((await readAll(repository, layer, 10)).toString()).toBe("layer");
    const ns = `?ns=${encodeURIComponent(origin)}`;
    expect(atMirror).toEqual([
      `/v2/cache/hub/team/app/manifests/one${ns}`,
      `/v2/cache/hub/team/app/blobs/${layer.digest}${ns}`,
    ]);
    expect(atOrigin).toEqual([]);
  });

  it("that lack something, are broken or end early leave the rest to the next", async () => {
    for (const spoil of [404, 500, 401, "cut"] as const) {
      const atOrigin: string[] = [];
      const mirror = await serve([], (request) => (request.method === "HEAD" && spoil === "cut" ? 503 : spoil));
      const origin = await serve(atOrigin);
      const mirrors = `mirrors = ["127.0.0.1:1", "${mirror}"]`;
      await using registry = registryOf(await config(`[registry."${origin}"]\n${mirrors}\n`));
      const repository = registry.repository(parseReference(`${origin}/app`));
      expect((await repository.resolve({ tag: "one" })).digest).toBe(rootOf(image).digest);
      expect((await readAll(repository, layer, 10)).toString()).toBe("layer");
      expect(atOrigin).toHaveLength(2);
    }
  });

  it.each([
    { name: "a small one, which nobody sees", size: 5 },
    { name: "a large one, which is read again", size: 3 * 1024 * 1024 },
  ])("that give wrong bytes leave $name to the next", async ({ size }) => {
    const bytes = Buffer.alloc(size, "layer");
    const wrong = Buffer.from(bytes);
    wrong[size - 1] = (wrong[size - 1] ?? 0) ^ 1;
    const [mirror, origin] = [await give(wrong), await give(bytes)];
    await using registry = registryOf(await config(`[registry."${origin}"]\nmirrors = ["${mirror}"]\n`));
    const repository = registry.repository(parseReference(`${origin}/app`));
    const store = createContentStore(path.join(dir, "store"), systemClock);
    const target = { mediaType: "x", digest: digestOf(bytes), size };
    await store.ensure(target, repository);
    expect((await readAll(store, target, size)).equals(bytes)).toBe(true);
  });

  it("that lie are found out", async () => {
    const mirror = await serve([]);
    const origin = await serve([]);
    await using registry = registryOf(await config(`[registry."${origin}"]\nmirrors = ["${mirror}"]\n`));
    const repository = registry.repository(parseReference(`${origin}/app`));
    const other = { mediaType: "x", digest: digestOf("other"), size: image.documents[0]?.bytes.length ?? 0 };
    await expect(readAll(repository, other, 10_000)).rejects.toMatchObject({ code: "data-loss" });
  });
});
