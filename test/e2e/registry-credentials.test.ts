import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { PASSWORD, startRegistry, type TestRegistry, USER } from "../registry/docker-registry.js";
import { BASE_LAYOUT, needs, run, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

/** The base image as `private/base:1.0`. */
async function push({ name }: TestRegistry): Promise<void> {
  const options = ["--insecure-policy", "copy", "--dest-tls-verify=false", `--dest-creds=${USER}:${PASSWORD}`];
  const copied = await run(["skopeo", ...options, `oci:${BASE_LAYOUT}:latest`, `docker://${name}/private/base:1.0`]);
  expect(copied).toMatchObject({ code: 0 });
}

/** All files below DIRECTORY. */
function filesOf(directory: string): readonly string[] {
  const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

test.for(["basic", "token"] as const)(
  "what lets a user into a registry (%s) is kept nowhere but where docker keeps it",
  async (kind, context) => {
    needs(context, "docker-registry", "skopeo", "openssl");
    await using registry = await startRegistry(kind);
    await push(registry);
    const env = { DOCKER_CONFIG: world.path("docker"), HOME: world.path("home") };
    const login = ["login", "-u", USER, "--password-stdin", registry.name];
    expect(await world.ashlar(login, { env, input: `${PASSWORD}\n` })).toMatchObject({ code: 0 });
    expect(fs.statSync(world.path("docker/config.json")).mode & 0o777).toBe(0o600);

    const directory = world.files({ Dockerfile: `FROM ${registry.name}/private/base:1.0\nRUN echo in > /made\n` });
    const built = await world.build(["-D", "-t", "made", "-o", `type=oci,dest=${world.path("made.tar")}`, directory], {
      env,
    });
    expect(built).toMatchObject({ code: 0 });
    const missing = world.files({ Dockerfile: `FROM ${registry.name}/private/none:1.0\n` }, "missing");
    const failed = await world.build(["-D", missing], { env });
    expect(failed.code).toBe(1);
    expect(await world.ashlar(["logout", registry.name], { env })).toMatchObject({ code: 0 });
    const denied = await world.build(["-D", "--pull", "--no-cache", directory], { env });
    expect(denied).toMatchObject({ code: 1, stderr: expect.stringContaining("access denied") });

    const secrets = [PASSWORD, Buffer.from(`${USER}:${PASSWORD}`).toString("base64"), "Bearer ey", "Basic c2"];
    const said = [built, failed, denied].flatMap(({ stdout, stderr }) => [stdout, stderr]);
    const kept = [...filesOf(world.root), world.path("made.tar"), world.path("docker/config.json")];
    for (const text of [...said, ...kept.map((file) => fs.readFileSync(file, "latin1"))]) {
      for (const secret of secrets) expect(text.includes(secret)).toBe(false);
    }
  },
);

test("a base image nobody mounts is never pulled", async (context) => {
  needs(context, "docker-registry", "skopeo");
  await using registry = await startRegistry("plain");
  await push(registry);
  const base = `FROM ${registry.name}/private/base:1.0\n`;
  for (const [name, text] of [
    ["label", `${base}LABEL a=b\n`],
    ["link", `${base}COPY --link Dockerfile /made\n`],
  ] as const) {
    const directory = world.files({ Dockerfile: text }, name);
    expect(await world.build(["-t", name, directory])).toMatchObject({ code: 0 });
  }
  const blobs = registry.log.filter((line) => line.includes('"GET /v2/private/base/blobs/'));
  // The config, and no layer.
  expect(blobs).toHaveLength(1);
});
