import fs from "node:fs";
import { createServer } from "node:net";
import { beforeEach, expect, test } from "vitest";
import { BASE_LAYOUT, eventually, needs, run, startProgram, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

interface Served extends AsyncDisposable {
  readonly host: string;
  /** The requests it has had so far. */
  requests(): readonly string[];
}

/** A certificate for 127.0.0.1, signed by itself: the authority to trust is the certificate. */
async function certificate(): Promise<{ readonly file: string; readonly key: string }> {
  const [file, key] = [world.path("server.pem"), world.path("server.key")];
  const names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = await run([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    ...names,
    "-keyout",
    key,
    "-out",
    file,
  ]);
  expect(made).toMatchObject({ code: 0 });
  return { file, key };
}

/** docker-registry on a free loopback port, by TLS where there is a certificate, with the base image as `team/base:1.0`. */
async function serve(tls?: { readonly file: string; readonly key: string }): Promise<Served> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const storage = world.path("registry");
  const config = `version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: ${storage}}}\nhttp: {addr: "${host}"${tls ? `, tls: {certificate: ${tls.file}, key: ${tls.key}}` : ""}}\n`;
  fs.writeFileSync(world.path("registry.yml"), config);
  const registry = startProgram(["docker-registry", "serve", world.path("registry.yml")]);
  await eventually(() => registry.said().includes("listening on"), 20_000);
  const pushed = await run([
    "skopeo",
    "--insecure-policy",
    "copy",
    "--dest-tls-verify=false",
    `oci:${BASE_LAYOUT}:latest`,
    `docker://${host}/team/base:1.0`,
  ]);
  expect(pushed).toMatchObject({ code: 0 });
  let output = "";
  registry.child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  return {
    host,
    requests: () => output.match(/"GET [^"]*"/g) ?? [],
    async [Symbol.asyncDispose]() {
      registry.child.kill("SIGTERM");
      await registry.ended;
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

test("a base image is pulled by its tag, and never again", async (context) => {
  needs(context, "docker-registry", "skopeo");
  let directory = "";
  {
    await using registry = await serve();
    directory = world.files({ Dockerfile: `FROM ${registry.host}/team/base:1.0\nRUN echo pulled > /made\n` });
    const out = world.path("out");
    expect(await world.build(["-o", out, directory])).toMatchObject({ code: 0 });
    expect(world.read("out", "made")).toBe("pulled\n");
  }
  const again = await world.build(["-t", "pulled", directory]);
  expect(again).toMatchObject({ code: 0 });
  expect(again.stderr).toMatch(/RUN echo pulled > \/made\n#\d+ CACHED/);
});

test("a base image is pulled by TLS from a registry of this machine whose certificate is trusted", async (context) => {
  needs(context, "docker-registry", "skopeo", "openssl");
  const tls = await certificate();
  await using registry = await serve(tls);
  const directory = world.files({ Dockerfile: `FROM ${registry.host}/team/base:1.0\nRUN echo pulled > /made\n` });
  const refused = await world.build([directory]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("certificate");
  const trusted = await world.build(["-t", "pulled", directory], { env: { NODE_EXTRA_CA_CERTS: tls.file } });
  expect(trusted).toMatchObject({ code: 0 });
});

test("a base image is pulled by its digest", async (context) => {
  needs(context, "docker-registry", "skopeo");
  await using registry = await serve();
  const { digest } = JSON.parse(fs.readFileSync(`${BASE_LAYOUT}/index.json`, "utf8")).manifests[0];
  const directory = world.files({ Dockerfile: `FROM ${registry.host}/team/base@${digest}\nRUN echo pulled > /made\n` });
  expect(await world.build(["-t", "pulled", directory])).toMatchObject({ code: 0 });
  expect(await world.ashlar(["run", "pulled", "cat", "/made"])).toMatchObject({ code: 0, stdout: "pulled\n" });
});

test("an image that no registry has is told by its name", async (context) => {
  needs(context, "docker-registry", "skopeo");
  await using registry = await serve();
  const name = `${registry.host}/team/nothing:1.0`;
  const ended = await world.build([world.files({ Dockerfile: `FROM ${name}\n` })]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(new RegExp(`^ERROR: .*${name.replaceAll(".", "\\.")}`, "m"));
});

test("a registry that is not there is told by its name", async () => {
  const port = await freePort();
  const ended = await world.build([world.files({ Dockerfile: `FROM 127.0.0.1:${port}/team/base\n` })]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(new RegExp(`^ERROR: .*127\\.0\\.0\\.1:${port}`, "m"));
});
