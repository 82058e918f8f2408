import { execFileSync, spawn } from "node:child_process";
import { createPrivateKey, sign, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { Agent, request } from "undici";
import { digestOf } from "../../src/base/index.js";
import {
  type Descriptor,
  encodeImageConfig,
  encodeIndex,
  encodeManifest,
  MediaType,
  type Platform,
} from "../../src/oci/index.js";

const BINARY = "/usr/bin/docker-registry";

/** Whether tests can start a registry; says so where they can't. */
export const hasDockerRegistry: boolean = existsSync(BINARY);
if (!hasDockerRegistry) process.stderr.write(`skipping tests of a real registry: there is no ${BINARY}\n`);

/** A running registry of its own, and how to fill it. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, or of another address. */
  readonly name: string;
  /** Certificate authority of a TLS registry, in PEM. */
  readonly ca: string;
  /** A certificate by which a `mutual` registry knows its clients, with its key, in PEM. */
  readonly client: { readonly certificate: string; readonly key: string };
  /** Lines of its log so far: one per request, among others. */
  readonly log: readonly string[];
  put(repository: string, reference: string, image: TestImage): Promise<void>;
  stop(): Promise<void>;
}

/** Blobs and documents, the last of which gets the tag. */
export interface TestImage {
  readonly blobs: readonly Uint8Array[];
  readonly documents: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
}

export const USER = "someone";
export const PASSWORD = "correct horse";
export const REFRESH_TOKEN = "refresh-me";

/** USER and PASSWORD as a registry's own file of users has them. */
const HTPASSWD = `${USER}:$2b$04$RDTC2BEn4.nhvStsW2bUQ.FN6gOG5SBuYz24lqke6L5HrCcYZAt76\n`;

/** Where a registry runs that isn't beside its tests: its address, and the words before its program. */
export interface RegistryPlace {
  readonly address: string;
  readonly under: readonly string[];
}

export async function startRegistry(
  kind: "plain" | "tls" | "mutual" | "token" | "basic",
  { address, under }: RegistryPlace = { address: "127.0.0.1", under: [] },
): Promise<TestRegistry> {
  const dir = await mkdtemp(path.join(tmpdir(), "registry-"));
  const certificate = makeCertificate(dir);
  const tokens = kind === "token" ? await startTokenServer(certificate) : undefined;
  const auth = tokens
    ? { auth: { token: { realm: tokens.realm, service: "test", issuer: "test", rootcertbundle: certificate.ca } } }
    : kind === "basic"
      ? { auth: { htpasswd: { realm: "test", path: path.join(dir, "users") } } }
      : {};
  await writeFile(path.join(dir, "users"), HTPASSWD);
  const isSecure = kind === "tls" || kind === "mutual";
  const clients = kind === "mutual" ? { clientcas: [certificate.ca] } : {};
  const tls = isSecure ? { tls: { certificate: certificate.certificate, key: certificate.key, ...clients } } : {};
  const config = {
    version: "0.1",
    log: { level: "info" },
    storage: { filesystem: { rootdirectory: path.join(dir, "data") }, delete: { enabled: true } },
    http: { addr: `${address}:0`, secret: "x", ...tls },
    compatibility: { schema1: { enabled: true } },
    validation: { manifests: { urls: { allow: ["^https://"] } } },
    ...auth,
  };
  const configFile = path.join(dir, "config.yml");
  await writeFile(configFile, JSON.stringify(config));
  const [program = BINARY, ...words] = [...under, BINARY, "serve", configFile];
  const child = spawn(program, words, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH },
  });
  const log: string[] = [];
  const port = await new Promise<string>((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`docker-registry ended with ${code}: ${log.join("\n")}`)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        log.push(line);
        const listening = /listening on [\d.]+:(\d+)/.exec(line)?.[1];
        if (listening !== undefined) resolve(listening);
      });
    }
  });
  const name = `${address}:${port}`;
  const ca = await readFile(certificate.ca, "utf8");
  const client = {
    certificate: await readFile(certificate.certificate, "utf8"),
    key: await readFile(certificate.key, "utf8"),
  };
  const stop = async (): Promise<void> => {
    tokens?.stop();
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    await rm(dir, { recursive: true, force: true });
  };
  const base = `${isSecure ? "https" : "http"}://${name}/v2`;
  const bearer = (repository: string) => tokens && `Bearer ${tokens.tokenFor([{ repository, actions: "pull,push" }])}`;
  return {
    name,
    ca,
    client,
    log,
    stop,
    put: (repository, reference, image) => put({ base, ca, bearer: bearer(repository) }, repository, reference, image),
    [Symbol.asyncDispose]: stop,
  };
}

/** An image of one layer per text, whose tar is just that text. */
export function testImage(
  layers: readonly string[],
  platform: Platform,
  labels: Record<string, string> = {},
): TestImage {
  const { os, architecture, variant } = platform;
  const blobs = layers.map((layer) => Buffer.from(layer));
  const config = encodeImageConfig({
    os,
    architecture,
    ...(variant ? { variant } : {}),
    config: { Labels: labels },
    rootfs: { type: "layers", diff_ids: blobs.map((blob) => digestOf(blob)) },
    history: [],
  });
  const manifest = encodeManifest({
    mediaType: MediaType.ociManifest,
    config: descriptorOf(MediaType.ociConfig, config),
    layers: blobs.map((blob) => descriptorOf(MediaType.ociLayer, blob)),
  });
  const descriptor = { ...descriptorOf(MediaType.ociManifest, manifest), platform };
  return { blobs: [...blobs, config], documents: [{ descriptor, bytes: manifest }] };
}

/** An index over the last documents of IMAGES. */
export function testIndex(images: readonly TestImage[]): TestImage {
  const manifests = images.map((image) => rootOf(image));
  const bytes = encodeIndex({ mediaType: MediaType.ociIndex, manifests });
  return {
    blobs: images.flatMap((image) => image.blobs),
    documents: [
      ...images.flatMap((image) => image.documents),
      { descriptor: descriptorOf(MediaType.ociIndex, bytes), bytes },
    ],
  };
}

export function rootOf(image: TestImage): Descriptor {
  const last = image.documents.at(-1);
  if (last === undefined) throw new Error("an image has a document");
  return last.descriptor;
}

export function descriptorOf(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

interface Target {
  readonly base: string;
  readonly ca: string;
  readonly bearer: string | undefined;
}

async function put(target: Target, repository: string, reference: string, image: TestImage): Promise<void> {
  const dispatcher = new Agent({ connect: { ca: target.ca } });
  const authorization = target.bearer === undefined ? {} : { authorization: target.bearer };
  const send = async (method: "POST" | "PUT", url: string, body: Uint8Array, headers: Record<string, string> = {}) => {
    const response = await request(url, { dispatcher, method, body, headers: { ...headers, ...authorization } });
    const text = await response.body.text();
    if (response.statusCode >= 300) throw new Error(`${method} ${url}: ${response.statusCode} ${text}`);
    return response;
  };
  for (const blob of image.blobs) {
    const upload = await send("POST", `${target.base}/${repository}/blobs/uploads/`, Buffer.alloc(0));
    const url = new URL(String(upload.headers.location), target.base);
    url.searchParams.set("digest", digestOf(blob));
    await send("PUT", url.href, blob, { "content-type": "application/octet-stream" });
  }
  for (const [position, { descriptor, bytes }] of image.documents.entries()) {
    const name = position === image.documents.length - 1 ? reference : descriptor.digest;
    await send("PUT", `${target.base}/${repository}/manifests/${name}`, bytes, {
      "content-type": descriptor.mediaType,
    });
  }
  await dispatcher.close();
}

interface Certificate {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority and a certificate of it for 127.0.0.1. */
function makeCertificate(dir: string): Certificate {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2");
  openssl(
    "req",
    ...ec,
    "-keyout",
    "server.key",
    "-out",
    "server.csr",
    "-subj",
    "/CN=test",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
  );
  const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
  openssl(
    "x509",
    "-req",
    "-in",
    "server.csr",
    ...authority,
    "-out",
    "server.pem",
    "-days",
    "2",
    "-copy_extensions",
    "copy",
  );
  const at = (name: string): string => path.join(dir, name);
  return { ca: at("ca.pem"), certificate: at("server.pem"), key: at("server.key") };
}

interface Granted {
  readonly repository: string;
  /** `pull,push`. */
  readonly actions: string;
}

interface TokenServer {
  readonly realm: string;
  tokenFor(granted: readonly Granted[]): string;
  stop(): void;
}

/** Gives tokens to read `public/…` to everyone, `locked/…` to nobody, all else to those who know the password or the refresh token. */
async function startTokenServer(certificate: Certificate): Promise<TokenServer> {
  const key = createPrivateKey(await readFile(certificate.key));
  const { raw } = new X509Certificate(await readFile(certificate.certificate));
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const tokenFor = (granted: readonly Granted[]): string => {
    const now = Math.floor(Date.now() / 1000);
    const access = granted.map(({ repository, actions }) => {
      return { type: "repository", name: repository, actions: actions.split(",") };
    });
    const claims = { iss: "test", sub: USER, aud: "test", exp: now + 300, nbf: now - 10, iat: now, jti: "1", access };
    const signed = `${encode({ typ: "JWT", alg: "ES256", x5c: [raw.toString("base64")] })}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  };
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const query = incoming.method === "POST" ? form : new URL(incoming.url ?? "", "http://x").searchParams;
    const scopes = query.getAll("scope").flatMap((text) => text.split(" "));
    const { authorization } = incoming.headers;
    const right = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`;
    const isKnown = authorization === right || form.get("refresh_token") === REFRESH_TOKEN;
    if (!isKnown && (authorization !== undefined || incoming.method === "POST")) {
      outgoing
        .writeHead(401)
        .end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "incorrect username or password" }] }));
      return;
    }
    const granted = scopes.flatMap((scope): Granted[] => {
      const [, repository = "", actions = ""] = scope.split(":");
      if (repository.startsWith("locked/")) return [];
      if (isKnown) return [{ repository, actions }];
      return repository.startsWith("public/") ? [{ repository, actions: "pull" }] : [];
    });
    const token = tokenFor(granted);
    outgoing.end(JSON.stringify(incoming.method === "POST" ? { access_token: token } : { token }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    realm: `http://127.0.0.1:${port}/token`,
    tokenFor,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
