import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { addSubmodule, commit, git, makeRepository, startGitServer } from "../sources/git-server.js";
import { makeKey, type SshServer, startSshd, startSshServer } from "../sources/ssh-server.js";
import { buildAs, needsUser, USER_ID } from "./user.js";
import { findProgram, needs, needsPeer, World } from "./world.js";

let world: World;
let server: SshServer;

beforeEach((context) => {
  needs(context, "git", "ssh", "ssh-keygen", "ssh-agent", "ssh-add");
  world = new World();
  for (const name of ["host", "host2", "mine", "other"]) makeKey(world.path(name));
  makeRepository(world.path("repo"));
  commit(world.path("repo"), {
    Dockerfile: "FROM scratch\nCOPY file /\nCOPY sub /\n",
    file: "by ssh",
    "sub/x": "below",
  });
  return () => world[Symbol.asyncDispose]();
});

const options = (hostKey = "host") => {
  return { directory: world.path("sshd"), hostKey: world.path(hostKey), allowed: [world.read("mine.pub").trim()] };
};
/** Nothing of the machine's own agent and host keys. */
const env = () => ({ SSH_AUTH_SOCK: undefined, HOME: world.path("home") });
const address = (rest = "") => `ssh://${server.user}@127.0.0.1:${server.port}${world.path("repo")}${rest}`;
const output = () => ["-o", `type=local,dest=${world.path("out")}`];
const build = (words: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  world.build([...output(), ...words], { env: { ...env(), ...more } });
const lend = (key: string) => ["--ssh", `default=${world.path(key)}`];

/** An agent with KEY, for as long as the test lives. */
async function withAgent(key: string, work: (socket: string) => Promise<void>): Promise<void> {
  const socket = world.path("agent.sock");
  const said = execFileSync("ssh-agent", ["-s", "-a", socket], { encoding: "utf8" });
  try {
    execFileSync("ssh-add", ["-q", world.path(key)], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    await work(socket);
  } finally {
    process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]));
  }
}

/** Builds from SERVER in all ways that there are. */
async function buildAll(): Promise<void> {
  makeRepository(world.path("lib"));
  commit(world.path("lib"), { lib: "lib" });
  addSubmodule(world.path("repo"), "lib", "../lib");
  const id = commit(world.path("repo"), { Dockerfile: "FROM scratch\nCOPY lib file /\n" });
  expect(await build([...lend("mine"), address()])).toMatchObject({ code: 0 });
  expect([world.read("out/file"), world.read("out/lib")]).toEqual(["by ssh", "lib"]);
  const lines = [`ADD ${address(`?commit=${id.slice(0, 12)}&subdir=sub`)} /a/`, `ADD --keep-git-dir ${address()} /b/`];
  const context = world.files({ Dockerfile: `FROM scratch\n${lines.join("\n")}\n` });
  expect(await build([...lend("mine"), context])).toMatchObject({ code: 0 });
  expect([world.read("out/a/x"), world.read("out/b/.git/HEAD").trim()]).toEqual(["below", id]);
  expect(git(world.path("out/b"), "config", "remote.origin.url")).toBe(address());
  expect(fs.readdirSync(world.path("root/tmp"))).toEqual([]);
}

describe("a repository that is had by ssh", () => {
  beforeEach(async () => {
    server = await startSshServer(options());
    return () => server[Symbol.asyncDispose]();
  });

  test("is a context, its ADD and its submodules, with a key of --ssh", buildAll);

  test("is opened by the agent that the caller has, of a context even without a flag", async () => {
    await withAgent("mine", async (SSH_AUTH_SOCK) => {
      expect(await build([address()], { SSH_AUTH_SOCK })).toMatchObject({ code: 0 });
      expect(world.read("out/file")).toBe("by ssh");
      const context = world.files({ Dockerfile: `FROM scratch\nADD ${address()} /added/\n` });
      expect(await build(["--ssh", "default", context], { SSH_AUTH_SOCK })).toMatchObject({ code: 0 });
      expect(world.read("out/added/file")).toBe("by ssh");
    });
  });

  test("stays closed without a key, and with another one", async () => {
    const context = world.files({ Dockerfile: `FROM scratch\nADD ${address()} /\n` });
    const without = await build([context]);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain('no SSH key "default" forwarded from the client');
    const other = await build([...lend("other"), context]);
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/Permission denied/);
    expect(fs.readdirSync(world.path("root/tmp"))).toEqual([]);
  });
});

test("OpenSSH's own server has repositories in the same way", async (context) => {
  needsPeer(context, "sshd");
  await using own = await startSshd(findProgram("sshd") ?? "", options());
  server = own;
  await buildAll();
});

describe("a host", () => {
  const restart = async (hostKey: string) => {
    const { port } = server;
    await server[Symbol.asyncDispose]();
    server = await startSshServer(options(hostKey), port);
  };
  beforeEach(async () => {
    server = await startSshServer(options());
    return () => server[Symbol.asyncDispose]();
  });

  test("that is new is remembered, and refused once it has another key", async () => {
    expect(await build([...lend("mine"), address()])).toMatchObject({ code: 0 });
    await restart("host2");
    commit(world.path("repo"), { file: "later" });
    const refused = await build([...lend("mine"), address()]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("IDENTIFICATION HAS CHANGED");
    expect(world.read("out/file")).toBe("by ssh");
  });

  test("that the user knows under another key is refused at once, and nothing of theirs is changed", async () => {
    const known = `[127.0.0.1]:${server.port} ${world.read("host2.pub")}`;
    world.files({ known_hosts: known }, "home/.ssh");
    const refused = await build([...lend("mine"), address()]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/IDENTIFICATION HAS CHANGED|Host key verification failed/);
    expect(world.read("home/.ssh/known_hosts")).toBe(known);
  });
});

for (const grant of ["subordinate ids", "no subordinate ids"] as const) {
  test(`an ordinary user with ${grant} builds from it, too, and from one that is had by http`, async (context) => {
    needsUser(context, grant);
    await using own = await startSshServer(options());
    await using web = await startGitServer(world.dir);
    server = own;
    const added = [`ADD ${address("?subdir=sub")} /ssh/`, `ADD --chown=7:8 --keep-git-dir ${web.url}/repo/.git /http/`];
    commit(world.path("repo"), { Dockerfile: `FROM scratch\nCOPY file /\n${added.join("\n")}\n` });
    fs.chownSync(world.path("mine"), USER_ID, USER_ID);
    const archive = world.path(`ground-${USER_ID}`, "home/out.tar");
    const words = ["-o", `type=tar,dest=${archive}`, ...lend("mine"), address()];
    const built = await buildAs(world, words, { grant, env: { SSH_AUTH_SOCK: undefined } });
    expect(built).toMatchObject({ code: 0 });
    const listed = execFileSync("tar", ["-tvf", archive, "--numeric-owner"], { encoding: "utf8" });
    expect(listed).toMatch(/^-rw-r--r-- 0\/0 +6 .* file$/m);
    expect(listed).toMatch(/^-rw-r--r-- 0\/0 +5 .* ssh\/x$/m);
    expect(listed).toMatch(/^-rw-r--r-- 7\/8 +5 .* http\/sub\/x$/m);
    expect(listed).toMatch(/^-rw-r--r-- 7\/8 .* http\/\.git\/HEAD$/m);
  });
}
