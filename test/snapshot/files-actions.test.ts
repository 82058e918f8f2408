import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Chown, FileChange } from "../../src/base/index.js";
import type { Tree } from "../../src/snapshot/tree.js";
import { Bench, copyAction } from "./file-harness.js";

let bench: Bench;
let image: Tree;
beforeAll(async () => {
  bench = new Bench();
  image = [
    await bench.layer(
      "mkdir -p etc usr/lib real; ln -s usr/lib lib; ln -s /real lnk; ln -s /gone hang; ln -s ../../../../etc up; printf f > file;" +
        "printf 'root:x:0:0:root:/root:/bin/sh\\napp:x:1000:1001::/home/app:\\nbroken:x:abc\\n' > etc/passwd;" +
        "printf '# group\\nroot:x:0:\\nstaff:x:50:app,web\\nextra:x:60:app\\n' > etc/group",
    ),
  ];
});
afterAll(() => bench[Symbol.asyncDispose]());

const mkdir = (at: string, more: Partial<Extract<FileChange, { kind: "mkdir" }>> = {}): FileChange => ({
  kind: "mkdir",
  path: at,
  mode: 0o755,
  makeParents: true,
  timestamp: -1,
  ...more,
});
const mkfile = (at: string, text: string): FileChange => ({
  kind: "mkfile",
  path: at,
  mode: 0o644,
  data: Buffer.from(text),
  timestamp: 1_000_000_000,
});
const rm = (at: string, more: Partial<Extract<FileChange, { kind: "rm" }>> = {}): FileChange => ({
  kind: "rm",
  path: at,
  allowNotFound: false,
  allowWildcard: false,
  ...more,
});
const name = (text: string) => ({ kind: "name", name: text, input: 0 }) as const;
const id = (number: number) => ({ kind: "id", id: number }) as const;

describe("an action", () => {
  it.each<readonly [string, readonly FileChange[], readonly string[]]>([
    [
      "makes directories with those above them",
      [mkdir("/a/b", { mode: 0o711 })],
      ["a dir 0711 0:0", "a/b dir 0711 0:0"],
    ],
    ["leaves a directory that exists alone", [mkdir("/usr/lib", { mode: 0o700 })], []],
    ["makes a directory behind a link", [mkdir("/lnk/sub")], ["real dir 0755 0:0", "real/sub dir 0755 0:0"]],
    ["makes the target of a dangling link", [mkdir("/hang")], ["gone dir 0755 0:0"]],
    ["stops a link at the root", [mkdir("/up/x")], ["etc dir 0755 0:0", "etc/x dir 0755 0:0"]],
    ["owns and dates what it makes", [mkdir("/a", { owner: { user: id(7) }, timestamp: 5 })], ["a dir 0755 7:7 @5"]],
    ["makes a file", [mkfile("/f", "text")], ['f file 0644 0:0 "text" @1000000000']],
    [
      "makes a link",
      [{ kind: "symlink", oldPath: "../x", newPath: "/l", timestamp: 5 }],
      ["l link 0777 0:0 -> ../x @5"],
    ],
    ["works on what an earlier one made", [mkdir("/a"), mkfile("/a/f", "x"), rm("/a/f")], ["a dir 0755 0:0"]],
    ["removes the link, not what it leads to", [rm("/lnk")], ["lnk char 0000 0:0 0"]],
    ["removes below a link", [mkdir("/lnk/sub"), rm("/lnk/sub")], ["real dir 0755 0:0"]],
    ["removes what wildcards match", [mkfile("/a1", ""), mkfile("/a2", ""), rm("/a?", { allowWildcard: true })], []],
    ["may find nothing to remove", [rm("/nothing", { allowNotFound: true })], []],
  ])("%s", async (_, actions, layer) => {
    const made = await bench.list(await bench.apply(image, ...actions));
    expect(made.map((line) => line.replace(/^(lnk char \S+ \S+ 0).*/, "$1"))).toEqual(layer);
  });

  it.each<readonly [string, FileChange, string]>([
    ["a directory in place of a file", mkdir("/file"), "mkdir /file: not a directory"],
    ["a directory below a file", mkdir("/file/x"), "lstat /file/x: not a directory"],
    ["a file in place of a directory", mkfile("/etc", ""), "open /etc: is a directory"],
    ["to remove what is missing", rm("/nothing"), "stat /nothing: no such file or directory"],
    ["to remove the root", rm("/"), "the root cannot be removed"],
    ["to remove the root by another name", rm("/etc/..", { allowNotFound: true }), "the root cannot be removed"],
  ])("refuses %s", async (_, action, words) => {
    await expect(bench.apply(image, action)).rejects.toThrow(words);
  });
});

describe("an owner", () => {
  it.each<readonly [Chown, string]>([
    [{ user: id(7) }, "7:7"],
    [{ user: id(7), group: id(8) }, "7:8"],
    [{ user: name("app") }, "1000:1001"],
    [{ user: name("app"), group: name("staff") }, "1000:50"],
    [{ user: id(7), group: name("staff") }, "7:50"],
    [{ user: name("ghost") }, "0:0"],
    [{ user: name("broken") }, "0:0"],
    [{ user: name("app"), group: name("ghosts") }, "1000:1001"],
    [{ group: id(9) }, "0:9"],
  ])("%j is %s", async (owner, ids) => {
    const action = mkdir("/x", { owner });
    const layer = await bench.apply(image, { action, users: image, groups: image });
    expect(await bench.list(layer)).toEqual([`x dir 0755 ${ids}`]);
  });

  it("counts as root where the image has no user files", async () => {
    const layer = await bench.apply([], { action: mkdir("/x", { owner: { user: name("app") } }), users: [] });
    expect(await bench.list(layer)).toEqual(["x dir 0755 0:0"]);
  });

  it("is refused where its names cannot be looked up", async () => {
    await expect(bench.apply([], mkdir("/x", { owner: { user: name("app") } }))).rejects.toThrow(
      "invalid user index: -1",
    );
  });

  it.each([
    ["a FIFO", "mkdir etc; mkfifo etc/passwd", "/etc/passwd is not a regular file"],
    ["a device", "mkdir etc; mknod etc/passwd c 1 5", "/etc/passwd is not a regular file"],
    ["huge", "mkdir etc; truncate -s 5G etc/passwd", '"/etc/passwd" exceeds 10485760 bytes'],
  ])("is refused where the file is %s", async (_, script, words) => {
    const users = [await bench.layer(script)];
    await expect(bench.apply([], { action: mkdir("/x", { owner: { user: name("a") } }), users })).rejects.toThrow(
      words,
    );
  });
});

describe("a user", () => {
  const resolve = async (user: string, tree: Tree = image) => {
    const { uid, gid, groups, home } = await bench.plane.run("resolveUser", { tree, user });
    return `${uid}:${gid} ${groups.join(",")} ${home}`;
  };

  it.each([
    ["", "0:0 0 /root"],
    ["root", "0:0 0 /root"],
    ["app", "1000:1001 1001,50,60 /home/app"],
    ["1000", "1000:1001 1001,50,60 /home/app"],
    ["app:staff", "1000:50 50 /home/app"],
    ["1000:1000", "1000:1000 1000 /home/app"],
    ["4242", "4242:0 0 /"],
    ["4242:staff", "4242:50 50 /"],
    ["app:77", "1000:77 77 /home/app"],
    [":staff", "0:50 50 /root"],
  ])("%j is %s", async (user, resolved) => {
    expect(await resolve(user)).toBe(resolved);
  });

  it.each([
    ["ghost", "unable to find user ghost: no matching entries in passwd file"],
    ["app:ghosts", "unable to find group ghosts: no matching entries in group file"],
    ["4294967296", "uids and gids must be in range 0-2147483647"],
  ])("%j is refused", async (user, words) => {
    await expect(resolve(user)).rejects.toThrow(words);
  });

  it("is root in an empty file system, and a name is not known there", async () => {
    expect(await resolve("", [])).toBe("0:0 0 /");
    expect(await resolve("5:6", [])).toBe("5:6 6 /");
    await expect(resolve("app", [])).rejects.toThrow("unable to find user app");
  });

  it("is not read through a link out of the image, nor from a FIFO", async () => {
    const tree = [await bench.layer("ln -s ../../../../../../../etc etc")];
    await expect(resolve("daemon", tree)).rejects.toThrow("too many links");
    await expect(resolve("daemon", [await bench.layer("mkdir etc; mkfifo etc/passwd")])).rejects.toThrow("no matching");
  });
});

describe("mount points", () => {
  const paths = [
    { path: "/etc/hosts", kind: "file" },
    { path: "/run/secrets/x", kind: "file" },
    { path: "/lnk/cache", kind: "dir" },
  ] as const;

  it("are made and taken away again, and the removal does not show in the directories' times", async () => {
    const layer = await bench.layer();
    const root = { kind: "workspace", workspace: { layer, parents: image } } as const;
    const made = await bench.plane.run("makeMountpoints", { root, paths });
    expect(await bench.list(layer)).toEqual([
      "etc dir 0755 0:0",
      'etc/hosts file 0644 0:0 ""',
      "real dir 0755 0:0",
      "real/cache dir 0755 0:0",
      "run dir 0755 0:0",
      "run/secrets dir 0755 0:0",
      'run/secrets/x file 0644 0:0 ""',
    ]);
    const time = () => fs.statSync(path.join(bench.layerDirectory(layer), "etc"), { bigint: true }).mtimeNs;
    const before = time();
    await bench.plane.run("removeMountpoints", { root, made });
    expect(await bench.list(layer)).toEqual(["etc dir 0755 0:0", "real dir 0755 0:0"]);
    expect(time()).toBe(before);
  });

  it("stay where the step has put something, and no link that it planted is followed", async () => {
    const layer = await bench.layer();
    const root = { kind: "workspace", workspace: { layer, parents: image } } as const;
    const made = await bench.plane.run("makeMountpoints", {
      root,
      paths: [...paths, { path: "/m/deep/f", kind: "file" }],
    });
    const inLayer = (name: string) => path.join(bench.layerDirectory(layer), name);
    fs.writeFileSync(inLayer("etc/hosts"), "kept");
    fs.writeFileSync(inLayer("run/kept"), "");
    fs.mkdirSync(inLayer("victim/deep"), { recursive: true });
    fs.writeFileSync(inLayer("victim/deep/f"), "");
    fs.rmSync(inLayer("m"), { recursive: true });
    fs.symlinkSync("victim", inLayer("m"));
    await bench.plane.run("removeMountpoints", { root, made });
    expect(await bench.list(layer)).toEqual([
      "etc dir 0755 0:0",
      'etc/hosts file 0644 0:0 "kept"',
      "m link 0777 0:0 -> victim",
      "real dir 0755 0:0",
      "run dir 0755 0:0",
      'run/kept file 0644 0:0 ""',
      "victim dir 0755 0:0",
      "victim/deep dir 0755 0:0",
      'victim/deep/f file 0644 0:0 ""',
    ]);
  });
});

describe("a hostile source", () => {
  it("leads no path out of a context", async () => {
    const outside = bench.directory("printf secret > f; mkdir d; printf secret > d/f");
    const source = bench.context(
      `ln -s ${outside} abs; ln -s ../${path.basename(outside)} rel; ln -s ${outside}/f file`,
    );
    for (const src of ["/abs/f", "/rel/f", "/file", "/abs/*", "/rel/d"]) {
      await expect(bench.apply([], { action: copyAction(src, "/x"), source }), src).rejects.toThrow(
        /not found|no such file/,
      );
    }
  });

  it("leads no path out of an image, as source or as destination", async () => {
    const tree = [await bench.layer("ln -s ../../../../../../../../../etc e; ln -s /etc/passwd p")];
    await expect(
      bench.apply([], { action: copyAction("/e/passwd", "/x"), source: { kind: "tree", tree } }),
    ).rejects.toThrow();
    const layer = await bench.apply(tree, {
      action: copyAction("/f", "/e/passwd"),
      source: bench.context("printf f > f"),
    });
    expect(await bench.list(layer)).toEqual(["etc dir 0755 0:0", 'etc/passwd file 0644 0:0 "f"']);
  });
});
