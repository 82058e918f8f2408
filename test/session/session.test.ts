import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type DockerCredentialsOptions,
  dockerCredentials,
  openSecrets,
  SECRET_BYTES_MAX,
} from "../../src/session/index.js";

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

const credentialsIn = (configFile: string, more: Partial<DockerCredentialsOptions> = {}) => {
  // The helpers of these tests are scripts, and use the machine's programs.
  const surroundings = { searchPath: dir, env: { PATH: process.env.PATH } };
  return dockerCredentials({ configFile, surroundings, ...more });
};

describe("Docker's config.json", () => {
  const basic = (text: string): string => Buffer.from(text).toString("base64");
  const read = async (config: unknown) => credentialsIn(await write("config.json", JSON.stringify(config)));

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

  it.each([{}, null, [], { auths: null }, { auths: { a: null, b: {}, c: { auth: "" }, e: 1 } }])(
    "holds nothing in %j",
    async (config) => {
      const credentials = await read(config);
      for (const host of ["a", "b", "c", "d", "e", "docker.io", "constructor"])
        expect(await credentials.get(host)).toBeUndefined();
    },
  );

  it("need not be there", async () => {
    expect(await credentialsIn(path.join(dir, "nowhere")).get("docker.io")).toBeUndefined();
  });

  it("is not quoted when it is malformed", async () => {
    const credentials = credentialsIn(await write("config.json", '{"auths": {"a": {"auth": "c2VjcmV0"'));
    const error = await credentials.get("a").catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "invalid", message: expect.stringContaining(path.join(dir, "config.json")) });
    expect(String(error)).not.toContain("c2Vj");
  });

  it("is read after what the environment says, and before other files", async () => {
    const configFile = await write("config.json", JSON.stringify({ auths: { a: { auth: basic("a:file") } } }));
    const further = JSON.stringify({ auths: { a: { auth: basic("a:other") }, b: { auth: basic("b:other") } } });
    const authConfig = JSON.stringify({ auths: { c: { auth: basic("c:text") } } });
    const credentials = credentialsIn(configFile, { furtherFiles: [await write("auth.json", further)], authConfig });
    const passwords = ["a", "b", "c"].map(async (host) => credentials.get(host));
    expect(await Promise.all(passwords)).toMatchObject([
      { password: "file" },
      { password: "other" },
      { password: "text" },
    ]);
  });

  it("keeps what it knows nothing of when a credential is stored and erased, for its owner alone", async () => {
    const other = { psFormat: "x", auths: { "https://registry.example/v1/": { auth: basic("a:old") }, other: {} } };
    const file = await write("config.json", JSON.stringify(other));
    await symlink("config.json", path.join(dir, "link.json"));
    const credentials = credentialsIn(path.join(dir, "link.json"));
    const credential = { kind: "password", username: "a", password: "n:ew" } as const;
    expect(await credentials.store("registry.example", credential)).toEqual({
      kind: "file",
      path: path.join(dir, "link.json"),
    });
    await credentials.store("docker.io", { kind: "identity-token", token: "refresh" });
    expect(await credentials.get("registry.example")).toEqual(credential);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
      psFormat: "x",
      auths: {
        other: {},
        "registry.example": { auth: basic("a:n:ew") },
        "https://index.docker.io/v1/": { identitytoken: "refresh" },
      },
    });
    expect((await lstat(path.join(dir, "link.json"))).isSymbolicLink()).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await credentials.erase("docker.io")).toBe(true);
    expect(await credentials.erase("docker.io")).toBe(false);
    expect(await credentials.get("docker.io")).toBeUndefined();
    expect(await readdir(dir)).toEqual(["config.json", "link.json"]);
  });
});

describe("a credential helper", () => {
  const helper = async (name: string, script: string): Promise<void> => {
    await chmod(await write(`docker-credential-${name}`, `#!/bin/sh\n${script}\n`), 0o755);
  };
  const config = (content: unknown) => write("config.json", JSON.stringify(content));
  const keeping = [
    'file="$(dirname "$0")/kept"',
    'case "$1" in',
    'get) read -r server; grep -q "\\"$server\\"" "$file" || { echo credentials not found in native keychain; exit 1; }',
    '  cat "$file" ;;',
    'store) cat >"$file" ;;',
    'erase) rm -f "$file" ;;',
    "esac",
  ].join("\n");

  it("keeps credentials, of which the file only names the server", async () => {
    await helper("keeper", keeping);
    const file = await config({ credsStore: "keeper", auths: { "plain.example": { auth: "YTpi" } } });
    const credentials = credentialsIn(file);
    expect(await credentials.get("registry.example")).toBeUndefined();
    expect(await credentials.get("plain.example")).toEqual({ kind: "password", username: "a", password: "b" });
    const credential = { kind: "password", username: "a", password: "secret" } as const;
    expect(await credentials.store("registry.example", credential)).toEqual({ kind: "helper" });
    expect(await credentials.get("registry.example")).toEqual(credential);
    expect(await readFile(file, "utf8")).not.toContain("secret");
    expect(JSON.parse(await readFile(file, "utf8")).auths).toMatchObject({ "registry.example": {} });
    expect(await credentials.erase("registry.example")).toBe(true);
    expect(await credentials.get("registry.example")).toBeUndefined();
  });

  it("of one registry goes before that of all, and may give a token", async () => {
    await helper("all", "exit 9");
    await helper("one", 'read -r s; echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"refresh for $s\\"}"');
    const hub = "https://index.docker.io/v1/";
    const credHelpers = { [hub]: "one", "x.example": "" };
    const credentials = credentialsIn(await config({ credsStore: "all", credHelpers }));
    expect(await credentials.get("docker.io")).toEqual({ kind: "identity-token", token: `refresh for ${hub}` });
    expect(await credentials.get("x.example")).toBeUndefined();
    await expect(credentials.get("y.example")).rejects.toMatchObject({
      code: "unavailable",
      message: "error getting credentials: docker-credential-all ended with 9",
    });
  });

  it("that can't be decoded is told by its file and host, not by its text", async () => {
    const credentials = credentialsIn(await config({ auths: { "x.example": { auth: "bm9jb2xvbg==" } } }));
    await expect(credentials.get("x.example")).rejects.toMatchObject({
      code: "invalid",
      message: expect.stringMatching(/config\.json: x\.example: "auth" is not USER:PASSWORD in base64$/),
    });
    expect(await credentials.get("y.example")).toBeUndefined();
  });

  it("that fails isn't quoted, as secrets stand where it speaks, but for what is known to be none", async () => {
    await helper("bad", "echo boom s3cr3t-PW; exit 1");
    await helper("new", "echo pass not initialized: s3cr3t-PW; exit 1");
    const bad = credentialsIn(await config({ credsStore: "bad" }));
    await expect(bad.get("x.example")).rejects.toMatchObject({ message: expect.stringMatching(/-bad ended with 1$/) });
    const unready = credentialsIn(await config({ credsStore: "new" }));
    await expect(unready.get("x.example")).rejects.toMatchObject({
      message: expect.stringMatching(/-new ended with 1: pass not initialized$/),
    });
  });

  it("that is missing, no name, too loud or wrong is an error that quotes no secret", async () => {
    await helper("loud", "cat /dev/zero");
    await helper("wrong", `echo '{"Secret": "hunter2"'`);
    for (const [name, code, words] of [
      ["missing", "unavailable", "docker-credential-missing is not on the search path"],
      ["../loud", "invalid", "is no name of a credential helper"],
      ["loud", "invalid", "answered too much"],
      ["wrong", "invalid", "no JSON document"],
    ] as const) {
      const error = await credentialsIn(await config({ credsStore: name }))
        .get("a")
        .catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
      expect(String(error)).not.toContain("hunter2");
    }
  });

  it("is ended when nobody waits for it any more", async () => {
    await helper("slow", "exec sleep 1000");
    const canceling = new AbortController();
    const asked = credentialsIn(await config({ credsStore: "slow" })).get("a", { signal: canceling.signal });
    setImmediate(() => canceling.abort());
    await expect(asked).rejects.toMatchObject({ code: "canceled" });
  });
});
