import fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CopyAction } from "../../src/base/index.js";
import { Bench, copyAction } from "./file-harness.js";

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const OLD = "-d @1000000000";

/** What is in the source and in the image, the copy, and what the layer holds then; or the words of the refusal. */
interface CopyRow {
  readonly does: string;
  readonly source: string;
  readonly image?: string;
  readonly copy: CopyAction;
  readonly from?: "context" | "tree";
  readonly excludes?: readonly string[];
  readonly layer: readonly string[] | RegExp;
}

const rows: readonly CopyRow[] = [
  {
    does: "gives a file the destination's name and makes the directories above it",
    source: `printf a > f; chmod 640 f; touch ${OLD} f`,
    copy: copyAction("/f", "/a/b/g"),
    layer: ["a dir 0755 0:0", "a/b dir 0755 0:0", 'a/b/g file 0640 0:0 "a" @1000000000'],
  },
  {
    does: "puts a file into a destination with a slash at its end",
    source: "printf a > f",
    copy: copyAction("/f", "/x/"),
    layer: ["x dir 0755 0:0", 'x/f file 0644 0:0 "a"'],
  },
  {
    does: "puts a file into a destination that is a directory, and leaves that as it is",
    source: "printf a > f",
    image: "mkdir -m 700 x; chown 5:6 x",
    copy: copyAction("/f", "/x"),
    layer: ["x dir 0700 5:6", 'x/f file 0644 0:0 "a"'],
  },
  {
    does: "replaces a file with mode and owner",
    source: "printf new > f; chmod 600 f",
    image: "printf old > f; chmod 755 f; chown 7:7 f",
    copy: copyAction("/f", "/f"),
    layer: ['f file 0600 0:0 "new"'],
  },
  {
    does: "copies what a directory holds; a new destination is 0755 and takes the time",
    source: `mkdir -m 700 d; printf a > d/f; mkdir -m 750 d/e; touch ${OLD} d/f d/e d`,
    copy: copyAction("/d/.", "/x"),
    layer: ["x dir 0755 0:0 @1000000000", "x/e dir 0750 0:0 @1000000000", 'x/f file 0644 0:0 "a" @1000000000'],
  },
  {
    does: "gives existing directories below the destination the source's mode and owner",
    source: `mkdir -p d/sub; chmod 777 d/sub; printf f > d/sub/f; touch ${OLD} d/sub d`,
    image: "mkdir -p x/sub; chmod 700 x; chmod 710 x/sub; chown 5:6 x x/sub",
    copy: copyAction("/d", "/x/"),
    layer: ["x dir 0700 5:6 @1000000000", "x/sub dir 0777 0:0 @1000000000", 'x/sub/f file 0644 0:0 "f"'],
  },
  {
    does: "copies a whole context without the time and mode of its top",
    source: `printf a > .env; chmod 700 .; touch ${OLD} .env .`,
    copy: copyAction("/", "/all/"),
    layer: ["all dir 0755 0:0", 'all/.env file 0644 0:0 "a" @1000000000'],
  },
  {
    does: "keeps owners of a tree, roots what comes from a context",
    source: "printf a > f; chown 5:6 f",
    from: "tree",
    copy: copyAction("/f", "/x/y/"),
    layer: ["x dir 0755 0:0", "x/y dir 0755 0:0", 'x/y/f file 0644 5:6 "a"'],
  },
  {
    does: "sets an owner and an octal mode on what it makes, special bits on files alone at the top",
    source: "mkdir d d/e; printf a > d/f; ln -s f d/l",
    copy: copyAction("/d", "/new/x", { mode: 0o7751, owner: { user: { kind: "id", id: 9 } } }),
    layer: [
      "new dir 0751 9:9",
      "new/x dir 0751 9:9",
      "new/x/e dir 7751 9:9",
      'new/x/f file 7751 9:9 "a"',
      "new/x/l link 0777 9:9 -> f",
    ],
  },
  {
    does: "keeps the names of one inode together within one source",
    source: "mkdir d; printf a > d/a; ln d/a d/b",
    copy: copyAction("/d", "/x"),
    layer: ["x dir 0755 0:0", 'x/a file 0644 0:0 "a"', 'x/b file 0644 0:0 "a" =x/a'],
  },
  {
    does: "splits the names of one inode over the matches of a wildcard",
    source: "printf a > a; ln a b",
    copy: copyAction("/*", "/x/"),
    layer: ["x dir 0755 0:0", 'x/a file 0644 0:0 "a"', 'x/b file 0644 0:0 "a"'],
  },
  {
    does: "makes FIFOs and devices, a block device as a character device, and an empty file of a socket",
    source:
      "mkdir d; mkfifo -m 640 d/p; mknod -m 600 d/c c 1 3; mknod d/k b 7 0; cd d; " +
      `${process.execPath} -e 'require("net").createServer().listen("s",()=>process.exit())'; [ -S s ]`,
    copy: copyAction("/d", "/x"),
    layer: [
      "x dir 0755 0:0",
      "x/c char 0600 0:0 259",
      "x/k char 0644 0:0 1792",
      "x/p fifo 0640 0:0",
      'x/s file 0755 0:0 ""',
    ],
  },
  {
    does: "copies links below the source as links, dangling and outward ones too",
    source: "mkdir d; ln -s /etc/passwd d/a; ln -s ../../.. d/b; ln -s nowhere d/c",
    copy: copyAction("/d", "/x"),
    layer: [
      "x dir 0755 0:0",
      "x/a link 0777 0:0 -> /etc/passwd",
      "x/b link 0777 0:0 -> ../../..",
      "x/c link 0777 0:0 -> nowhere",
    ],
  },
  {
    does: "follows a link that is the source, inside the source's root",
    source: "printf inside > f; ln -s two one; ln -s /sub/three two; mkdir sub; ln -s ../../../../f sub/three",
    copy: copyAction("/one", "/x"),
    layer: ['x file 0644 0:0 "inside"'],
  },
  {
    does: "takes the name of the link, not of what it leads to",
    source: "printf a > f; ln -s f link",
    copy: copyAction("/link", "/x/"),
    layer: ["x dir 0755 0:0", 'x/link file 0644 0:0 "a"'],
  },
  {
    does: "copies a link as a link where it is not to follow",
    source: "printf a > f; ln -s f link",
    copy: copyAction("/link", "/x", { followSymlink: false, allowWildcard: false }),
    layer: ["x link 0777 0:0 -> f"],
  },
  {
    does: "follows links above a wildcard",
    source: "mkdir real; printf a > real/a.txt; ln -s real l",
    copy: copyAction("/l/*.txt", "/x/"),
    layer: ["x dir 0755 0:0", 'x/a.txt file 0644 0:0 "a"'],
  },
  {
    does: "matches wildcards name by name and gives the contents of directories",
    source: "mkdir -p one/two d1; printf top > f; printf 1 > one/f; printf 2 > one/two/f; printf a > d1/a",
    copy: copyAction("/**/f", "/x/"),
    layer: ["x dir 0755 0:0", 'x/f file 0644 0:0 "1"'],
  },
  {
    does: "makes nothing where a wildcard matches nothing",
    source: "printf a > f",
    copy: copyAction("/*.md", "/x/"),
    layer: [],
  },
  {
    does: "resolves links in the destination inside the image",
    source: "printf a > f",
    image: "mkdir -p etc a/real; ln -s ../../../../../etc lnk; ln -s ../a/real a/rel",
    copy: copyAction("/f", "/lnk/deep/f"),
    layer: ["etc dir 0755 0:0", "etc/deep dir 0755 0:0", 'etc/deep/f file 0644 0:0 "a"'],
  },
  {
    does: "writes behind a dangling link at the destination",
    source: "printf a > f",
    image: "ln -s /gone/file lnk",
    copy: copyAction("/f", "/lnk"),
    layer: ["gone dir 0755 0:0", 'gone/file file 0644 0:0 "a"'],
  },
  {
    does: "replaces a link that is in the place of a file inside the destination",
    source: "mkdir d; printf new > d/l",
    image: "mkdir x etc; printf secret > etc/passwd; ln -s /etc/passwd x/l",
    copy: copyAction("/d", "/x/"),
    layer: ["x dir 0755 0:0", 'x/l file 0644 0:0 "new"'],
  },
  {
    does: "replaces what is in the way where it shall",
    source: "mkdir -p d/a; printf b > d/b",
    image: "mkdir -p x/b/keep; printf a > x/a",
    copy: copyAction("/d", "/x/", { alwaysReplaceExistingDestPaths: true }),
    layer: ["x dir 0755 0:0", "x/a dir 0755 0:0", 'x/b file 0644 0:0 "b"'],
  },
  {
    does: "leaves out what is excluded, with all below it, but never the source itself",
    source:
      "mkdir -p d/sub/skip; printf a > d/a.md; printf b > d/sub/b.md; printf c > d/sub/skip/c; printf k > d/sub/keep",
    copy: copyAction("/d", "/x", { excludePatterns: ["*.md", "sub/skip"] }),
    layer: ["x dir 0755 0:0", "x/sub dir 0755 0:0", 'x/sub/b.md file 0644 0:0 "b"', 'x/sub/keep file 0644 0:0 "k"'],
  },
  {
    does: "enters an excluded directory for an exception below it",
    source: "mkdir -p d/sub/in d/other; printf a > d/sub/in/a; printf b > d/sub/b; printf c > d/other/c",
    copy: copyAction("/d", "/x", { excludePatterns: ["*", "!sub/in"] }),
    layer: ["x dir 0755 0:0", "x/sub dir 0755 0:0", "x/sub/in dir 0755 0:0", 'x/sub/in/a file 0644 0:0 "a"'],
  },
  {
    does: "makes the directories above what is included, dated by what is written there",
    source: `mkdir -p a/b/c; printf f > a/b/c/f; printf g > a/g; chmod 700 a/b; touch ${OLD} a/b/c/f a/b/c a/b a`,
    copy: copyAction("/a", "/x/", { includePatterns: ["b/c"] }),
    layer: [
      "x dir 0755 0:0 @1000000000",
      "x/b dir 0700 0:0",
      "x/b/c dir 0755 0:0 @1000000000",
      'x/b/c/f file 0644 0:0 "f" @1000000000',
    ],
  },
  {
    does: "sees a context without what its patterns leave out",
    source:
      "mkdir -p src/p; printf m > go.mod; printf r > README; printf a > src/a; printf t > src/t_test; printf b > src/p/b",
    excludes: ["*", "!src", "!go.*", "src/**/*_test"],
    copy: copyAction("/", "/x/"),
    layer: [
      "x dir 0755 0:0",
      'x/go.mod file 0644 0:0 "m"',
      "x/src dir 0755 0:0",
      'x/src/a file 0644 0:0 "a"',
      "x/src/p dir 0755 0:0",
      'x/src/p/b file 0644 0:0 "b"',
    ],
  },
  {
    does: "keeps names of any bytes",
    source: `mkdir d; printf a > "d/$(printf '\\377\\n.')"; printf b > 'd/star*'`,
    copy: copyAction("/d", "/x"),
    layer: ["x dir 0755 0:0", 'x/star* file 0644 0:0 "b"', 'x/\ufffd\n. file 0644 0:0 "a"'],
  },
  {
    does: "refuses a source that is missing",
    source: "",
    copy: copyAction("/nope", "/x"),
    layer: /not found|no such file/,
  },
  {
    does: "refuses a wildcard below a directory that is missing",
    source: "",
    copy: copyAction("/nope/*", "/x"),
    layer: /^lstat \/nope: no such file or directory$/,
  },
  {
    does: "refuses a pattern that is not closed",
    source: "",
    copy: copyAction("/a[1", "/x"),
    layer: /syntax error in pattern/,
  },
  {
    does: "refuses a directory in place of a file",
    source: "mkdir d",
    image: "printf a > x",
    copy: copyAction("/d", "/x"),
    layer: /^cannot copy to non-directory: \/x$/,
  },
  {
    does: "refuses a file in place of a directory",
    source: "printf a > f",
    image: "mkdir -p x/f",
    copy: copyAction("/f", "/x/"),
    layer: /^cannot replace to directory \/x\/f with file$/,
  },
  {
    does: "refuses a destination below a file",
    source: "printf a > f",
    image: "printf a > x",
    copy: copyAction("/f", "/x/"),
    layer: /^mkdir \/x: not a directory$/,
  },
  {
    does: "refuses a loop of links",
    source: "printf a > f",
    image: "ln -s b a; ln -s a b",
    copy: copyAction("/f", "/a/f"),
    layer: /^too many links$/,
  },
  {
    does: "refuses a name that is too long",
    source: "printf a > f",
    copy: copyAction("/f", `/${"a".repeat(256)}`),
    layer: /^lstat \/a+: file name too long$/,
  },
];

describe("a copy", () => {
  it.each(rows)("$does", async ({ source, image, copy, from = "context", excludes, layer }) => {
    const parents = image === undefined ? [] : [await bench.layer(image)];
    const input =
      from === "tree"
        ? ({ kind: "tree", tree: [await bench.layer(source)] } as const)
        : bench.context(source, excludes);
    const made = bench.apply(parents, { action: copy, source: input });
    if (layer instanceof RegExp) await expect(made).rejects.toThrow(layer);
    else expect(await bench.list(await made)).toEqual(layer);
  });

  it("reads from an empty file system where it has no source", async () => {
    await expect(bench.apply([], copyAction("/f", "/x"))).rejects.toThrow("lstat /f: no such file or directory");
  });

  it("says that a file changed after its digest was taken", async () => {
    const source = bench.context("printf one > f");
    await bench.digest(source, { path: "/f" });
    if (source.kind !== "context") throw new Error("a context");
    fs.writeFileSync(`${source.directory}/f`, "two");
    await expect(bench.apply([], { action: copyAction("/f", "/x"), source })).rejects.toMatchObject({
      code: "changed",
      message: "/f of the build context changed during the build",
    });
  });
});
