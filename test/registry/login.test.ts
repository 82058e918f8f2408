import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { finished } from "../cli/world.js";
import { hasDockerRegistry, PASSWORD, startRegistry, USER } from "./docker-registry.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "login-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));
const ashlar = (args: readonly string[], world: Parameters<typeof finished>[1] = {}) =>
  finished(args, { env: { DOCKER_CONFIG: dir, HOME: dir, PATH: "/usr/bin:/bin" }, ...world });

describe.skipIf(!hasDockerRegistry)("a login", () => {
  it.each(["basic", "token"] as const)("with %s authentication is kept when the registry takes it", async (kind) => {
    await using server = await startRegistry(kind);
    const refused = await ashlar(["login", "-u", USER, "--password-stdin", server.name], { stdin: ["wrong-one\n"] });
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("refuses these credentials") });
    expect(refused.err + refused.out).not.toContain("wrong-one");
    await expect(readFile(path.join(dir, "config.json"))).rejects.toMatchObject({ code: "ENOENT" });

    const login = ["login", "-u", USER, "--password-stdin", `https://${server.name}/v2/`];
    expect(await ashlar(login, { stdin: [PASSWORD.slice(0, 3), `${PASSWORD.slice(3)}\r\n`] })).toMatchObject({
      code: 0,
      out: "Login Succeeded\n",
      err: expect.stringContaining(`stored unencrypted in '${dir}/config.json'`),
    });
    const auth = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
    const kept = JSON.parse(await readFile(path.join(dir, "config.json"), "utf8"));
    expect(kept).toEqual({ auths: { [server.name]: { auth } } });
    expect(await ashlar(["login", server.name])).toMatchObject({
      code: 0,
      out: "Login Succeeded\n",
      err: "Authenticating with existing credentials...\n",
    });
    const logout = await ashlar(["logout", server.name]);
    expect(logout).toMatchObject({ code: 0, out: `Removing login credentials for ${server.name}\n` });
    expect(await ashlar(["logout", server.name])).toMatchObject({ code: 0, out: `Not logged in to ${server.name}\n` });
  });

  it("asks for what it isn't told, at a terminal", async () => {
    await using server = await startRegistry("basic");
    const stdin = [`${USER.slice(0, 4)}`, `${USER.slice(4)}\n`, `${PASSWORD}x\u007f\r`];
    expect(await ashlar(["login", server.name], { stdin, stdinIsTerminal: true })).toMatchObject({
      code: 0,
      out: "Username: Password: \nLogin Succeeded\n",
    });
  });
});

describe("a login that can't be", () => {
  it.each([
    [["-u", "a", "-p", ""], "password is empty"],
    [["-u", "a", "--password-stdin"], "password is empty"],
    [["--password-stdin"], "the --password-stdin option requires --username to be set"],
    [["-u", "a", "-p", "b", "--password-stdin"], "conflicting options"],
    [["a b"], "names no registry"],
  ])("%j is a wrong command line", async (args, words) => {
    const { code, err } = await ashlar(["login", ...args]);
    expect([code, err]).toEqual([125, expect.stringContaining(words)]);
  });

  it("without a terminal says what to give it", async () => {
    const { code, err } = await ashlar(["login", "registry.example"]);
    expect([code, err]).toEqual([
      1,
      expect.stringContaining("Cannot perform an interactive login from a non TTY device"),
    ]);
  });

  it("warns of a password that everyone sees", async () => {
    const { code, err } = await ashlar(["login", "-u", "a", "-p", "b", "127.0.0.1:1"]);
    expect([code, err]).toEqual([1, expect.stringContaining("Using --password via the CLI is insecure")]);
  });
});
