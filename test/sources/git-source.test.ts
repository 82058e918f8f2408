import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { EngineError, errorCode, systemClock } from "../../src/base/index.js";
import { openSecrets } from "../../src/session/index.js";
import {
  createGitProgram,
  createGitSource,
  type GitCheckouts,
  type GitRequest,
  type GitSource,
} from "../../src/sources/index.js";
import { findProgram } from "../e2e/world.js";
import { directSpawner } from "../executor/ground.js";
import {
  addSubmodule,
  COMMIT_TIME,
  commit,
  type GitServer,
  git,
  makeRepository,
  startGitServer,
} from "./git-server.js";
import { plain, startWebServer } from "./web-server.js";

const SIGNAL = new AbortController().signal;
const OPTIONS = { signal: SIGNAL };

let dir: string;
let server: GitServer;
/** A repository with two commits, each with a tag, and another branch: of it every test has a copy. */
let model: string | undefined;
let first: string;
let second: string;
let source: GitSource;
let count = 0;

const place = (...names: readonly string[]) => path.join(dir, ...names);
const program = (name: string) => findProgram(name) ?? name;

beforeEach(async (context) => {
  if (findProgram("git") === undefined) context.skip("git is not installed");
  if (process.getuid?.() !== 0) context.skip("namespaces need root");
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-git-"));
  for (const name of ["state", "tmp"]) fs.mkdirSync(place(name));
  server = await startGitServer(dir);
  model ??= makeModel();
  fs.cpSync(model, place("repo"), { recursive: true, preserveTimestamps: true });
  source = open();
});

function makeModel(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-git-"));
  makeRepository(directory);
  first = commit(directory, { file: "first", "sub/deep": "deep" });
  git(directory, "tag", "v1");
  second = commit(directory, { file: "second" });
  git(directory, "tag", "--annotate", "v2", "--message", "the second");
  git(directory, "branch", "other", first);
  return directory;
}

afterAll(() => {
  if (model) fs.rmSync(model, { recursive: true, force: true });
});

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  if (dir) fs.rmSync(dir, { recursive: true, force: true });
});

function open(programs: { readonly git?: string } = {}, ...paths: readonly string[]): GitSource {
  const runner = createGitProgram({
    spawner: directSpawner,
    programs: async () => {
      return { git: program("git"), setpriv: program("setpriv"), unshare: program("unshare"), ...programs };
    },
    searchPath: [...paths, process.env.PATH ?? ""].join(":"),
    proxyEnv: {},
    knownHosts: [place("known_hosts")],
    certificates: undefined,
  });
  return createGitSource({ git: runner, directory: place("state"), clock: systemClock });
}

interface Lent {
  readonly secrets?: Readonly<Record<string, string>>;
  readonly from?: GitSource;
}

/** What one build sees. */
async function build({ secrets = {}, from = source }: Lent = {}): Promise<GitCheckouts> {
  const specs = Object.entries(secrets).map(([id, value]) => {
    return { id, source: "value", value: Buffer.from(value) } as const;
  });
  const temporary = (kind: string) => place("tmp", `${kind}-${count++}`);
  return from.open({ secrets: await openSecrets(specs), ssh: { open: async () => undefined }, temporary });
}

function wanted(request: Partial<GitRequest> = {}) {
  return {
    request: {
      remote: `${server.url}/repo/.git`,
      ref: "",
      checksum: undefined,
      fetchByCommit: false,
      subdirectory: "",
      keepGitDir: false,
      submodules: true,
      mtime: "checkout" as const,
      ...request,
    },
    auth: { header: "GIT_AUTH_HEADER", token: "GIT_AUTH_TOKEN", ssh: undefined },
  };
}

async function resolve(request: Partial<GitRequest>, lent?: Lent) {
  return (await build(lent)).resolve(wanted(request), OPTIONS);
}

/** Checks out what REQUEST wants; the directory with the files. */
async function checkout(request: Partial<GitRequest>, lent?: Lent): Promise<string> {
  const checkouts = await build(lent);
  const directory = place(`out-${count++}`);
  fs.mkdirSync(directory);
  const target = await checkouts.resolve(wanted(request), OPTIONS);
  await using tree = await checkouts.checkout(wanted(request), target, directory, OPTIONS);
  if (tree.from === undefined) return directory;
  fs.cpSync(tree.from.directory, directory, { recursive: true, verbatimSymlinks: true });
  return path.join(directory, tree.from.subdirectory);
}

const failure = (work: Promise<unknown>): Promise<EngineError> =>
  work.then(
    () => expect.fail("it should have failed"),
    (error: unknown) => error as EngineError,
  );
const read = (...names: readonly string[]) => fs.readFileSync(path.join(...names), "utf8");

describe("a ref", () => {
  it("is the default branch, a branch before a tag, a tag, a full name, or a commit", async () => {
    git(place("repo"), "branch", "same", first);
    git(place("repo"), "tag", "same", second);
    const heads = { ref: "refs/heads/main", object: second };
    expect(await resolve({})).toMatchObject(heads);
    expect(await resolve({ ref: "main" })).toMatchObject(heads);
    expect(await resolve({ ref: "refs/heads/main" })).toMatchObject(heads);
    expect(await resolve({ ref: "heads/main" })).toMatchObject(heads);
    expect(await resolve({ ref: "same" })).toMatchObject({ ref: "refs/heads/same", object: first });
    expect(await resolve({ ref: "refs/tags/same" })).toMatchObject({ ref: "refs/tags/same", object: second });
    expect(await resolve({ ref: "v1" })).toEqual({ ref: "refs/tags/v1", object: first, commit: undefined });
    expect(await resolve({ ref: first })).toEqual({ ref: first, object: first, commit: undefined });
  });

  it("of a merge request is one that no branch or tag is, and so is the commit behind it", async () => {
    git(place("repo"), "checkout", "--quiet", "--detach");
    const proposed = commit(place("repo"), { file: "proposed" });
    git(place("repo"), "update-ref", "refs/pull/7/head", proposed);
    git(place("repo"), "checkout", "--quiet", "main");
    for (const ref of ["refs/pull/7/head", "pull/7/head", proposed])
      expect(read(await checkout({ ref }), "file")).toBe("proposed");
    const kept = await checkout({ ref: "refs/pull/7/head", keepGitDir: true });
    expect(git(kept, "rev-parse", "refs/pull/7/head")).toBe(proposed);
  });

  it("that is an annotated tag is the tag, and tells its commit", async () => {
    const tag = git(place("repo"), "rev-parse", "v2");
    expect(await resolve({ ref: "v2" })).toEqual({ ref: "refs/tags/v2", object: tag, commit: second });
    expect(tag).not.toBe(second);
  });

  it("is asked once a build, and a commit not at all", async () => {
    const checkouts = await build();
    await Promise.all([1, 2].map(() => checkouts.resolve(wanted({ ref: "main" }), OPTIONS)));
    const asked = server.seen.length;
    await checkouts.resolve(wanted({ ref: "main" }), OPTIONS);
    await checkouts.resolve(wanted({ ref: first }), OPTIONS);
    expect(server.seen).toHaveLength(asked);
  });

  it("that is not there, or only the beginning of a commit, is not found", async () => {
    for (const ref of ["nothing", first.slice(0, 8), "refs/heads/v1", "HEAD"]) {
      const error = await failure(resolve({ ref }));
      expect(error).toMatchObject({ code: "not-found", message: `repository does not contain ref ${ref}` });
    }
  });

  it("must come to the checksum, which may be its beginning, and may be the tag's or the commit's", async () => {
    const tag = git(place("repo"), "rev-parse", "v2");
    for (const checksum of [second, second.slice(0, 7), tag.slice(0, 7)])
      expect(await resolve({ ref: "v2", checksum })).toMatchObject({ object: tag });
    expect((await failure(resolve({ ref: "v1", checksum: second }))).message).toBe(
      `expected checksum to match ${second}, got ${first}`,
    );
    expect((await failure(resolve({ ref: first, checksum: second }))).message).toContain("expected checksum to match");
    expect((await failure(resolve({ checksum: "foobar" }))).message).toBe(
      "invalid checksum foobar for Git URL, expected hex commit hash",
    );
  });

  it("is left alone where the commit is what is wanted", async () => {
    const request = { ref: "main", checksum: first, fetchByCommit: true };
    expect(await resolve(request)).toMatchObject({ ref: "refs/heads/main", object: first });
    expect(read(await checkout(request), "file")).toBe("first");
    expect(await failure(resolve({ fetchByCommit: true }))).toMatchObject({ code: "invalid" });
    expect(await failure(resolve({ fetchByCommit: true, checksum: first.slice(0, 8) }))).toMatchObject({
      code: "invalid",
    });
  });
});

describe("what is hostile", () => {
  it.each([
    "-x",
    "--upload-pack=touch /tmp/owned",
    "a b",
    "a:b",
    "main^{commit}",
    "main@{1}",
    "*",
    "a..b",
    "/a",
    "a//b",
    "a\nb",
    "\u0000",
  ])("the ref %j is refused before anybody is asked", async (ref) => {
    expect(await failure(resolve({ ref }))).toMatchObject({ code: "invalid" });
    expect(server.seen).toEqual([]);
  });

  it("an address of another protocol runs nothing and reads nothing of this machine", async () => {
    const owned = place("owned");
    const remotes = [
      `ext::sh -c touch% ${owned}`,
      `fd::3`,
      `file://${place("repo")}`,
      place("repo"),
      `--upload-pack=touch ${owned}`,
      `-oProxyCommand=touch ${owned}`,
      `ssh://-oProxyCommand=touch ${owned}/x`,
      `ssh://user@-oProxyCommand=touch ${owned}/x`,
      `git@-oProxyCommand=touch ${owned}:x`,
      `git@127.0.0.1:--upload-pack=touch ${owned}`,
      `${server.url}/repo/.git\n[core]\n\tsshCommand=touch ${owned}`,
    ];
    for (const remote of remotes) {
      const error = await failure(resolve({ remote }));
      expect(error, remote).toBeInstanceOf(EngineError);
      expect(await failure(checkout({ remote, ref: first })), remote).toBeInstanceOf(EngineError);
    }
    expect(fs.existsSync(owned)).toBe(false);
  });

  it("a submodule at a path of this machine is refused", async () => {
    makeRepository(place("private"));
    commit(place("private"), { secret: "secret" });
    git(place("repo"), "submodule", "--quiet", "add", place("private"), "sub-private");
    commit(place("repo"), {});
    const error = await failure(checkout({}));
    expect(error.message).toContain("failed to update submodules");
    expect(error.message).toContain("transport 'file' not allowed");
  });

  it("settings, hooks and helpers of the user's do not count", async () => {
    const [home, owned] = [place("home"), place("owned")];
    fs.mkdirSync(home);
    fs.writeFileSync(
      path.join(home, ".gitconfig"),
      `[core]\n\tsshCommand = touch ${owned}\n[url "ext::x"]\n\tinsteadOf = http`,
    );
    const wrapper = place("git-with-home");
    // What the program is given is all that it gets.
    fs.writeFileSync(wrapper, `#!/bin/sh\nenv >> ${place("env")}\nexec git "$@"\n`, { mode: 0o755 });
    expect(read(await checkout({}, { from: open({ git: wrapper }) }), "file")).toBe("second");
    const names = new Set(
      read(place("env"))
        .split("\n")
        .map((line) => line.split("=", 1)[0]),
    );
    expect(names).not.toContain("USER");
    expect(read(place("env"))).toMatch(/^HOME=\/dev\/null$/m);
    expect(read(place("env"))).toMatch(/^GIT_CONFIG_GLOBAL=\/dev\/null$/m);
  });

  it("links of a checkout stay links, and nothing is written through them", async () => {
    fs.mkdirSync(place("outside"));
    fs.symlinkSync(place("outside"), place("repo", "link"));
    commit(place("repo"), { "other/file": "x" });
    const directory = await checkout({});
    expect(fs.readlinkSync(path.join(directory, "link"))).toBe(place("outside"));
    expect(fs.readdirSync(place("outside"))).toEqual([]);
  });
});

describe("a checkout", () => {
  it("has files and directories as root's with the usual mask, and no repository", async () => {
    fs.writeFileSync(place("repo", "script"), "#!/bin/sh\n", { mode: 0o777 });
    commit(place("repo"), {});
    const directory = await checkout({});
    const mode = (name: string) => (fs.statSync(path.join(directory, name)).mode & 0o7777).toString(8);
    expect(fs.readdirSync(directory).sort()).toEqual(["file", "script", "sub"]);
    expect([mode("file"), mode("script"), mode("sub"), mode("sub/deep")]).toEqual(["644", "755", "755", "644"]);
    expect(fs.statSync(path.join(directory, "file")).uid).toBe(0);
    expect(fs.readdirSync(place("tmp"))).toEqual([]);
  });

  it.each(["", "main", "v1", "v2", "other"])(
    "of the ref %j with its repository is clean, and at the commit",
    async (ref) => {
      const directory = await checkout({ ref, keepGitDir: true });
      const commitOf = ref === "v1" || ref === "other" ? first : second;
      expect(read(directory, ".git/HEAD").trim()).toBe(commitOf);
      expect(git(directory, "status", "--short")).toBe("");
      expect(git(directory, "config", "remote.origin.url")).toBe(`${server.url}/repo/.git`);
      expect(fs.existsSync(path.join(directory, ".git/FETCH_HEAD"))).toBe(false);
      if (ref === "v2") expect(git(directory, "cat-file", "-t", "v2")).toBe("tag");
    },
  );

  it("of a commit with its repository is clean", async () => {
    const directory = await checkout({ ref: first, keepGitDir: true });
    expect(read(directory, ".git/HEAD").trim()).toBe(first);
    expect(git(directory, "status", "--short")).toBe("");
  });

  it("of a subdirectory says where that is", async () => {
    expect(fs.readdirSync(await checkout({ subdirectory: "sub" }))).toEqual(["deep"]);
  });

  it("of a subdirectory may be one of a submodule's, and has no repository", async () => {
    makeRepository(place("leaf"));
    commit(place("leaf"), { "in/leaf": "leaf" });
    addSubmodule(place("repo"), "leaf", "../../leaf/.git");
    commit(place("repo"), {});
    for (const keepGitDir of [false, true])
      expect(fs.readdirSync(await checkout({ subdirectory: "leaf/in", keepGitDir }))).toEqual(["leaf"]);
    expect(fs.readdirSync(await checkout({ subdirectory: "sub", keepGitDir: true }))).toEqual(["deep"]);
  });

  it("has the pointers of files in large file storage, wherever git-lfs is installed", async () => {
    const bin = place("bin");
    fs.mkdirSync(bin);
    fs.writeFileSync(path.join(bin, "git-lfs"), `#!/bin/sh\ntouch ${place("ran")}\n`, { mode: 0o755 });
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"a".repeat(64)}\nsize 3\n`;
    commit(place("repo"), { ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "large.bin": pointer });
    const directory = await checkout({}, { from: open({}, bin) });
    expect(read(directory, "large.bin")).toBe(pointer);
    expect(fs.existsSync(place("ran"))).toBe(false);
  });

  it("of an empty commit is empty", async () => {
    makeRepository(place("empty"));
    commit(place("empty"), {});
    expect(fs.readdirSync(await checkout({ remote: `${server.url}/empty/.git` }))).toEqual([]);
  });

  it("has the submodules, by full and by relative addresses, and theirs, unless none are wanted", async () => {
    for (const name of ["leaf", "middle"]) makeRepository(place(name));
    commit(place("leaf"), { leaf: "leaf" });
    addSubmodule(place("middle"), "leaf", `${server.url}/leaf/.git`);
    commit(place("middle"), { middle: "middle" });
    addSubmodule(place("repo"), "middle", "../../middle/.git");
    commit(place("repo"), {});
    const directory = await checkout({});
    expect(read(directory, "middle/middle")).toBe("middle");
    expect(read(directory, "middle/leaf/leaf")).toBe("leaf");
    const kept = await checkout({ keepGitDir: true });
    expect(git(path.join(kept, "middle/leaf"), "status", "--short")).toBe("");
    expect(fs.readdirSync(path.join(await checkout({ submodules: false }), "middle"))).toEqual([]);
  });

  it("tells the time of its commit where that is wanted", async () => {
    const checkouts = await build();
    const commitTimes = wanted({ ref: "v2", mtime: "commit" });
    fs.mkdirSync(place("into"));
    const target = await checkouts.resolve(commitTimes, OPTIONS);
    await using tree = await checkouts.checkout(commitTimes, target, place("into"), OPTIONS);
    expect(tree.mtime).toBe(COMMIT_TIME);
    expect(await checkouts.commitTime(wanted({ ref: "v1" }), OPTIONS)).toBe(COMMIT_TIME);
  });

  it("of a repository with long ids works the same", async () => {
    makeRepository(place("long"), "sha256");
    const id = commit(place("long"), { file: "long" });
    const remote = `${server.url}/long/.git`;
    expect(id).toHaveLength(64);
    expect(read(await checkout({ remote }), "file")).toBe("long");
    expect(read(await checkout({ remote, ref: id, keepGitDir: true }), "file")).toBe("long");
  });

  it("works with a server that only hands out files", async () => {
    git(place("repo"), "update-server-info");
    await using files = await startWebServer();
    for (const name of fs.readdirSync(place("repo/.git"), { recursive: true, encoding: "utf8" })) {
      const file = place("repo/.git", name);
      if (fs.statSync(file).isFile()) files.answer(`/repo.git/${name}`, plain(fs.readFileSync(file)));
    }
    const remote = `${files.url}/repo.git`;
    expect(read(await checkout({ remote }), "file")).toBe("second");
    expect(read(await checkout({ remote, ref: first }), "file")).toBe("first");
    expect(read(await checkout({ remote, ref: "v1", keepGitDir: true }), "file")).toBe("first");
  });
});

describe("what was fetched", () => {
  it("is not fetched again, and a commit of it is had without a network", async () => {
    await checkout({ ref: "v1" });
    await server[Symbol.asyncDispose]();
    expect(read(await checkout({ ref: first }), "file")).toBe("first");
    expect(await failure(checkout({ ref: second }))).toMatchObject({ code: "unavailable" });
  });

  it("follows a branch that moved, also to what it was not built on, and a tag", async () => {
    await checkout({ ref: "main" });
    git(place("repo"), "checkout", "--quiet", "--orphan", "fresh");
    const fresh = commit(place("repo"), { file: "fresh" });
    git(place("repo"), "branch", "--force", "main", fresh);
    git(place("repo"), "tag", "--force", "v1", fresh);
    expect(read(await checkout({ ref: "main" }), "file")).toBe("fresh");
    expect(read(await checkout({ ref: "v1", keepGitDir: true }), "file")).toBe("fresh");
  });

  it("is the commit that the ref stood for when it was asked, though it moved since", async () => {
    const checkouts = await build();
    const target = await checkouts.resolve(wanted({ ref: "main" }), OPTIONS);
    commit(place("repo"), { file: "third" });
    fs.mkdirSync(place("into"));
    await using _ = await checkouts.checkout(wanted({ ref: "main" }), target, place("into"), OPTIONS);
    expect(read(place("into"), "file")).toBe("second");
  });

  it("is fetched anew where it is damaged", async () => {
    await checkout({ ref: "v1" });
    const [{ id } = { id: "" }] = source.list();
    const objects = place("state", id, "repository/objects");
    for (const name of fs.readdirSync(objects, { recursive: true, encoding: "utf8" }))
      if (fs.statSync(path.join(objects, name)).isFile()) fs.truncateSync(path.join(objects, name), 1);
    expect(read(await checkout({ ref: "main" }), "file")).toBe("second");
  });

  it("is shared by builds at once, in one process or several", async () => {
    const others = [source, source, open(), open()];
    const files = await Promise.all(
      others.map(async (from, i) => read(await checkout({ ref: i % 2 ? "v1" : "main" }, { from }), "file")),
    );
    expect(files).toEqual(["second", "first", "second", "first"]);
    expect(source.list()).toHaveLength(1);
  });

  it("is listed and removed", async () => {
    await checkout({});
    expect(source.list()).toMatchObject([{ sizeBytes: expect.any(Number) }]);
    expect(source.list().map(({ id }) => source.remove(id))).toEqual([true]);
    expect(source.list()).toEqual([]);
    expect(fs.readdirSync(place("state"))).toEqual([]);
    expect(read(await checkout({}), "file")).toBe("second");
  });

  it("goes after a while where there are too many remotes", async () => {
    for (let i = 0; i < 70; i++) fs.mkdirSync(place("state", i.toString(16).padStart(64, "0")));
    await checkout({});
    expect(source.list()).toHaveLength(64);
  });
});

describe("credentials", () => {
  const basic = (text: string) => `basic ${Buffer.from(text).toString("base64")}`;

  it.each([
    ["a token", { GIT_AUTH_TOKEN: "tok\n" }, basic("x-access-token:tok")],
    ["a header", { GIT_AUTH_HEADER: "Bearer abc" }, "Bearer abc"],
    ["a header before a token", { GIT_AUTH_HEADER: "Bearer abc", GIT_AUTH_TOKEN: "tok" }, "Bearer abc"],
  ])("are %s", async (_, secrets, expected) => {
    server.require(expected);
    expect(read(await checkout({}, { secrets }), "file")).toBe("second");
    expect(await failure(checkout({}))).toMatchObject({ code: "denied" });
  });

  it("of the host go before those for all", async () => {
    server.require("Bearer host");
    const secrets = { GIT_AUTH_HEADER: "Bearer all", [`GIT_AUTH_HEADER.127.0.0.1:${server.port}`]: "Bearer host" };
    expect(read(await checkout({}, { secrets }), "file")).toBe("second");
  });

  it("may be in the address, and are not kept in any file", async () => {
    server.require(basic("us er:hunter2"));
    const remote = `http://us%20er:hunter2@127.0.0.1:${server.port}/repo/.git`;
    const directory = await checkout({ remote, keepGitDir: true });
    expect(read(directory, "file")).toBe("second");
    const found = () => execFileSync("grep", ["-rl", "hunter2", dir], { encoding: "utf8" });
    expect(found).toThrow(); // grep's exit code where it finds nothing
  });

  it("are never among a program's words, nor in errors", async () => {
    const wrapper = place("git-wrapper");
    fs.writeFileSync(wrapper, `#!/bin/sh\necho "$@" >> ${place("words")}\nexec git "$@"\n`, { mode: 0o755 });
    const remote = `http://u:hunter2@127.0.0.1:${server.port}/repo/.git`;
    const from = open({ git: wrapper });
    await checkout({ remote }, { from, secrets: { GIT_AUTH_TOKEN: "hunter3" } });
    expect(read(place("words"))).toContain("ls-remote");
    expect(read(place("words"))).not.toMatch(/hunter|x-access/);
    server.require("Bearer other");
    for (const request of [
      { remote, ref: "main" },
      { remote: `http://u:hunter2@127.0.0.1:${server.port}/nothing.git` },
    ]) {
      const error = await failure(checkout(request, { from, secrets: { GIT_AUTH_TOKEN: "hunter3" } }));
      expect(`${error.message} ${error.hint} ${error.stack}`).not.toContain("hunter");
    }
  });
});

describe("the program", () => {
  it("ends at once with its helpers when it is canceled, and leaves nothing", async () => {
    const controller = new AbortController();
    server.stall(() => controller.abort());
    const checkouts = await build();
    const error = await failure(checkouts.resolve(wanted({}), { signal: controller.signal }));
    expect(errorCode(error)).toBe("canceled");
    const isLeft = fs
      .readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .some((pid) => cmdline(pid).includes(`127.0.0.1:${server.port}`));
    expect(isLeft).toBe(false);
    expect(fs.readdirSync(place("tmp"))).toEqual([]);
  });

  it("that is missing is named", async () => {
    const missing = new EngineError("unavailable", "no git program found", { hint: "install git" });
    const runner = createGitProgram({
      spawner: directSpawner,
      programs: () => Promise.reject(missing),
      searchPath: "",
      proxyEnv: {},
      knownHosts: [],
      certificates: undefined,
    });
    const from = createGitSource({ git: runner, directory: place("state"), clock: systemClock });
    expect(await failure(checkout({}, { from }))).toBe(missing);
  });

  it("is asked for an agent where ssh is used, and without one says so", async () => {
    const checkouts = await build();
    const request = {
      ...wanted({ remote: "git@127.0.0.1:repo" }),
      auth: { header: undefined, token: undefined, ssh: "default" },
    };
    const error = await failure(checkouts.resolve(request, OPTIONS));
    expect(error).toMatchObject({ code: "denied", message: 'no SSH key "default" forwarded from the client' });
  });

  function cmdline(pid: string): string {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1");
    } catch {
      return ""; // it ended meanwhile
    }
  }
});
