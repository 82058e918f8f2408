import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import {
  addSubmodule,
  COMMIT_TIME,
  commit,
  type GitServer,
  git,
  makeRepository,
  startGitServer,
} from "../sources/git-server.js";
import { entity, plain, startWebServer, type WebServer } from "../sources/web-server.js";
import { eventually, needs, owners, tracesOf, World } from "./world.js";

let world: World;
let web: WebServer;

beforeEach(async () => {
  world = new World();
  web = await startWebServer();
  return async () => {
    await world[Symbol.asyncDispose]();
    await web[Symbol.asyncDispose]();
  };
});

const output = () => ["-o", `type=local,dest=${world.path("out")}`];
const build = (...words: readonly string[]) => world.build([...output(), ...words]);

describe("ADD of an address", () => {
  test("makes a file of root's alone with the server's time, which is CACHED and not sent a second time", async () => {
    web.answer("/dir/a.txt", entity("content", { "last-modified": "Tue, 15 Nov 1994 08:12:31 GMT" }));
    const context = world.files({
      Dockerfile: `FROM scratch\nADD ${web.url}/dir/a.txt /in/\nADD --chmod=755 ${web.url}/dir/a.txt /as\n`,
    });
    expect(await build(context)).toMatchObject({ code: 0 });
    const stat = fs.statSync(world.path("out/in/a.txt"));
    expect(world.read("out/in/a.txt")).toBe("content");
    expect((stat.mode & 0o7777).toString(8)).toBe("600");
    expect(stat.mtimeMs).toBe(784887151_000);
    expect((fs.statSync(world.path("out/as")).mode & 0o7777).toString(8)).toBe("755");
    expect(web.asked()).toEqual(["GET /dir/a.txt"]);
    const again = await build(context);
    expect(again.stderr.match(/CACHED/g)?.length).toBeGreaterThanOrEqual(2);
    expect(web.asked()).toEqual(["GET /dir/a.txt", "HEAD /dir/a.txt"]);
    web.answer("/dir/a.txt", entity("changed"));
    expect(await build(context)).toMatchObject({ code: 0 });
    expect(world.read("out/in/a.txt")).toBe("changed");
  });

  test("with a checksum asks nobody once it has it, and refuses anything else", async () => {
    web.answer("/a", plain("content"));
    const good = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    const context = (checksum: string) =>
      world.files({ Dockerfile: `FROM scratch\nADD --checksum=${checksum} ${web.url}/a /a\n` });
    expect(await build(context(good))).toMatchObject({ code: 0 });
    expect(await build(context(good))).toMatchObject({ code: 0 });
    expect(web.asked()).toEqual(["GET /a"]);
    const bad = `sha256:${"0".repeat(64)}`;
    const refused = await build(context(bad));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`digest mismatch ${good}: ${bad}`);
  });

  test("unpacks an archive only where that is asked for", async () => {
    const packed = world.files({ inner: "inside" }, "packed");
    execFileSync("tar", ["-czf", world.path("a.tgz"), "-C", packed, "inner"]);
    web.answer("/a.tgz", entity(fs.readFileSync(world.path("a.tgz"))));
    const lines = [`ADD ${web.url}/a.tgz /plain/`, `ADD --unpack=true ${web.url}/a.tgz /unpacked/`];
    expect(await build(world.files({ Dockerfile: `FROM scratch\n${lines.join("\n")}\n` }))).toMatchObject({ code: 0 });
    expect(fs.readdirSync(world.path("out/plain"))).toEqual(["a.tgz"]);
    expect(world.read("out/unpacked/inner")).toBe("inside");
  });

  test("sends the secret of its host, which is nowhere afterwards", async () => {
    const answer = entity("content");
    web.answer("/a", (request, response) => {
      if (request.headers.authorization === "Bearer hunter2") return answer(request, response);
      response.writeHead(401).end();
    });
    const context = world.files({ Dockerfile: `FROM scratch\nADD ${web.url}/a /a\n` });
    const refused = await build(context);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("invalid response status 401");
    const secret = ["--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN"];
    const built = await world.build([...output(), ...secret, context], { env: { TOKEN: "hunter2" } });
    expect(built).toMatchObject({ code: 0 });
    expect(built.stderr).not.toContain("hunter2");
    expect(() => execFileSync("grep", ["-rlaF", "hunter2", world.root, world.path("out")])).toThrow();
  });

  test("leaves nothing when it is killed in the middle", async () => {
    let isSending = false;
    web.answer("/a", (_, response) => void response.writeHead(200).write("beginning", () => (isSending = true)));
    const running = world.start(world.buildWords([world.files({ Dockerfile: `FROM scratch\nADD ${web.url}/a /a\n` })]));
    await eventually(() => isSending, 20_000);
    running.child.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    expect(fs.readdirSync(world.path("root/tmp"))).toEqual([]);
  });
});

describe("repositories", () => {
  let server: GitServer;

  beforeEach(async (context) => {
    needs(context, "git");
    server = await startGitServer(world.dir);
    makeRepository(world.path("repo"));
    commit(world.path("repo"), {
      Dockerfile: "FROM scratch AS withgit\nCOPY .git/HEAD out\nFROM scratch\nCOPY file /\n",
      ".dockerignore": "file\n",
      file: "one",
      "sub/Dockerfile": "FROM scratch\nCOPY file /sub-file\n",
      "sub/file": "below",
    });
    return () => server[Symbol.asyncDispose]();
  });

  const remote = () => `${server.url}/repo/.git`;

  test("ADD takes the files of a branch, is CACHED while it stays, and follows it when it moves", async () => {
    const context = world.files({
      Dockerfile: `FROM scratch\nADD ${remote()}#main /all\nADD ${remote()}#main:sub /sub\n`,
    });
    expect(await build(context)).toMatchObject({ code: 0 });
    expect(world.read("out/all/file")).toBe("one");
    expect(fs.readdirSync(world.path("out/sub")).sort()).toEqual(["Dockerfile", "file"]);
    expect(fs.existsSync(world.path("out/all/.git"))).toBe(false);
    const fetches = () => server.seen.length;
    const before = fetches();
    const again = await build(context);
    expect(again.stderr).not.toMatch(/^#\d+ DONE.*\n#\d+ \[.*ADD/m);
    expect(again.stderr.match(/CACHED/g)?.length).toBeGreaterThanOrEqual(2);
    const asked = fetches() - before;
    commit(world.path("repo"), { file: "two" });
    expect(await build(context)).toMatchObject({ code: 0 });
    expect(world.read("out/all/file")).toBe("two");
    expect(asked).toBeLessThanOrEqual(2); // what refs stand for, and nothing else
  });

  test("ADD keeps the repository where that is asked for", async () => {
    const id = git(world.path("repo"), "rev-parse", "HEAD");
    const lines = [`ADD --keep-git-dir=true --chown=7:8 --checksum=${id} ${remote()} /repo`];
    expect(await build(world.files({ Dockerfile: `FROM scratch\n${lines}\n` }))).toMatchObject({ code: 0 });
    expect(world.read("out/repo/.git/HEAD").trim()).toBe(id);
  });

  test("a context is a repository, a part of it, or another branch, and its .dockerignore does not count", async () => {
    expect(await build(remote())).toMatchObject({ code: 0 });
    expect(world.read("out/file")).toBe("one");
    expect(await build(`${remote()}#main:sub`)).toMatchObject({ code: 0 });
    expect(world.read("out/sub-file")).toBe("below");
    expect(await build("-f", "sub/Dockerfile", remote())).toMatchObject({ code: 0 });
    expect(world.read("out/sub-file")).toBe("one");
    const kept = ["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", "--target", "withgit"];
    expect(await build(...kept, remote())).toMatchObject({ code: 0 });
    expect(world.read("out/out").trim()).toBe(git(world.path("repo"), "rev-parse", "HEAD"));
    const wrong = await build(`${remote()}?branch=none`);
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("repository does not contain ref refs/heads/none");
  });

  test("a link in a repository leads nowhere, be it a subdirectory or the Dockerfile", async () => {
    fs.symlinkSync("/", world.path("repo/root"));
    fs.symlinkSync("/etc/passwd", world.path("repo/link"));
    commit(world.path("repo"), {});
    const subdirectory = await build(`${remote()}#main:root/etc`);
    expect(subdirectory.code).toBe(1);
    expect(subdirectory.stderr).toContain("contains non-directory");
    const dockerfile = await build("-f", "link", remote());
    expect(dockerfile.code).toBe(1);
    expect(dockerfile.stderr).not.toContain("root:x:0:0");
  });

  test("a build whose times are fixed gives files the time of their commit", async () => {
    const epoch = ["--build-arg", "SOURCE_DATE_EPOCH=context"];
    expect(await build(...epoch, remote())).toMatchObject({ code: 0 });
    expect(fs.statSync(world.path("out/file")).mtimeMs).toBe(COMMIT_TIME * 1000);
  });

  test("a named context is a repository or a file to download", async () => {
    web.answer("/some", entity("downloaded"));
    const context = world.files({ Dockerfile: "FROM scratch\nCOPY --from=r file /a\nCOPY --from=h context /b\n" });
    const named = ["--build-context", `r=${remote()}`, "--build-context", `h=${web.url}/some`];
    expect(await build(...named, context)).toMatchObject({ code: 0 });
    expect([world.read("out/a"), world.read("out/b")]).toEqual(["one", "downloaded"]);
  });

  test("a token of the environment opens the repository of a context, and its submodules of the same place", async () => {
    makeRepository(world.path("lib"));
    commit(world.path("lib"), { lib: "lib" });
    addSubmodule(world.path("repo"), "lib", "../../lib/.git");
    commit(world.path("repo"), { Dockerfile: "FROM scratch\nCOPY lib/lib /\n" });
    server.require(`basic ${Buffer.from("u:hunter2").toString("base64")}`);
    const refused = await build(remote());
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("GIT_AUTH_TOKEN");
    const withUser = remote().replace("//", "//u:hunter2@");
    const built = await build(withUser);
    expect(built).toMatchObject({ code: 0 });
    expect(world.read("out/lib")).toBe("lib");
    expect(built.stderr).not.toContain("hunter2");
    expect(() => execFileSync("grep", ["-rlaF", "hunter2", world.root])).toThrow();
    server.require(`basic ${Buffer.from("x-access-token:tok").toString("base64")}`);
    commit(world.path("repo"), { Dockerfile: "FROM scratch\nCOPY file /\n" });
    const env = { GIT_AUTH_TOKEN: "tok" };
    expect(await world.build([...output(), `${remote()}?submodules=false`], { env })).toMatchObject({ code: 0 });
  });

  test("by TLS, an authority in SSL_CERT_FILE is trusted and no other, and a token of the host is sent", async (context) => {
    needs(context, "openssl");
    const [key, cert] = [world.path("key.pem"), world.path("cert.pem")];
    const subject = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = ["-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", cert, "-days", "2", ...subject];
    execFileSync("openssl", ["req", ...made], { stdio: "ignore" });
    await using secure = await startGitServer(world.dir, { key: fs.readFileSync(key), cert: fs.readFileSync(cert) });
    secure.require(`basic ${Buffer.from("x-access-token:hunter2").toString("base64")}`);
    const directory = world.files({ Dockerfile: `FROM scratch\nADD ${secure.url}/repo/.git?subdir=sub /\n` });
    const unknown = await build(directory);
    expect(unknown).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/certificate verification failed|SSL certificate/),
    });
    const env = { SSL_CERT_FILE: cert, TOKEN: "hunter2" };
    const host = `GIT_AUTH_TOKEN.127.0.0.1:${secure.port}`;
    const secrets = ["--secret", `id=${host},env=TOKEN`, "--secret", "id=GIT_AUTH_TOKEN,env=HOME"];
    expect(await world.build([...output(), ...secrets, directory], { env })).toMatchObject({ code: 0 });
    expect(world.read("out/file")).toBe("below");
    expect(() => execFileSync("grep", ["-rlaF", "hunter2", world.root, world.path("out")])).toThrow();
  });

  test("nothing of a fetch lives on when the engine is killed, and the next build works", async () => {
    let isAsked = false;
    server.stall(() => (isAsked = true));
    const running = world.start(world.buildWords([remote()]));
    await eventually(() => isAsked, 20_000);
    const [owner] = owners(world.root);
    running.child.kill("SIGKILL");
    await running.ended;
    await eventually(() => tracesOf(`127.0.0.1:${server.port}`, world.root, owner).length === 0, 10_000);
    await server[Symbol.asyncDispose]();
    server = await startGitServer(world.dir);
    expect(await build(remote())).toMatchObject({ code: 0 });
  });

  test("what was fetched is shown by du and removed by prune", async () => {
    expect(await build(remote())).toMatchObject({ code: 0 });
    expect((await world.ashlar(["du", "-v"])).stdout).toMatch(/source\.git\.checkout/);
    expect(await world.ashlar(["prune", "--all", "--force"])).toMatchObject({ code: 0 });
    expect(fs.readdirSync(world.path("root/git"))).toEqual([]);
  });
});

describe("a context at an address", () => {
  test("is an archive, compressed or not, or a Dockerfile", async () => {
    const files = world.files({
      Dockerfile: "FROM scratch\nCOPY foo bar\n",
      other: "FROM scratch\nCOPY foo baz\n",
      foo: "foo",
    });
    for (const [name, flag] of [
      ["c.tar", "-cf"],
      ["c.tgz", "-czf"],
    ] as const) {
      execFileSync("tar", [flag, world.path(name), "-C", files, "."]);
      web.answer(`/${name}`, entity(fs.readFileSync(world.path(name))));
      expect(await build(`${web.url}/${name}`)).toMatchObject({ code: 0 });
      expect(world.read("out/bar")).toBe("foo");
    }
    expect(await build("-f", "other", `${web.url}/c.tgz`)).toMatchObject({ code: 0 });
    expect(world.read("out/baz")).toBe("foo");
    web.answer("/df", entity("FROM scratch\nCOPY context /me\n"));
    expect(await build(`${web.url}/df`)).toMatchObject({ code: 0 });
    expect(world.read("out/me")).toContain("COPY context");
  });

  test("may be that of the Dockerfile alone", async () => {
    web.answer("/some/My.Dockerfile", entity("FROM scratch\nCOPY foo /\nCOPY nothing /\n"));
    const built = await build("-f", `${web.url}/some/My.Dockerfile`, world.files({ foo: "foo" }));
    expect(built.code).toBe(1);
    expect(built.stderr).toContain("My.Dockerfile:3");
  });

  test("is checked without a build", async () => {
    web.answer("/df", entity("FROM scratch\nMAINTAINER me\n"));
    const checked = await world.ashlar(["build", "--check", `${web.url}/df`]);
    expect(checked.stdout).toContain("MaintainerDeprecated");
    expect(checked.code).toBe(1);
  });
});
