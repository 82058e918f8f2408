import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Selector } from "../../src/snapshot/selector.js";
import { Bench, copyAction, listing } from "./file-harness.js";

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
});
afterAll(() => bench[Symbol.asyncDispose]());

type Chosen = Partial<Selector> & { readonly path: string };
const BASE =
  "mkdir -p d/sub e; printf a > d/a; printf b > d/sub/b; printf c > e/c; ln -s a d/l; ln -s d link; printf f > f";

const digestOf = (script: string, selector: Chosen, excludes?: readonly string[]) =>
  bench.digest(bench.context(script, excludes), selector);

async function treeDigest(script: string, selector: Chosen): Promise<string> {
  return bench.digest({ kind: "tree", tree: [await bench.layer(script)] }, selector);
}

describe("the digest of a selection", () => {
  it.each<readonly [string, Chosen, string]>([
    ["times", { path: "/d" }, "find d | xargs touch -h -d @5"],
    ["what is not selected", { path: "/d" }, "printf x > e/c; chmod 600 f; printf y > new"],
    ["where the selection lies", { path: "/d" }, "mkdir x; mv d x/d; ln -s x/d d"],
    ["a link's name above the last one", { path: "/link/sub" }, "mv d d2; ln -sfn d2 link"],
    ["excluded files", { path: "/d", excludes: ["sub"] }, "printf x > d/sub/b; printf y > d/sub/new"],
    ["files that are not included", { path: "/", includes: ["e"] }, "printf x > d/a; printf y > f"],
    ["files that a wildcard does not match", { path: "/d/s*" }, "printf x > d/a"],
    ["modes that are left out", { path: "/d", ignoreMode: true }, "chmod 700 d/sub; chmod 777 d/a"],
    ["modes of which a copy makes the same", { path: "/d", modeChange: "u=rwX,go=" }, "chmod 700 d/sub; chmod 640 d/a"],
    ["holes", { path: "/f" }, "rm f; printf f > g; cp --sparse=always g f"],
  ])("does not know %s", async (_, selector, change) => {
    expect(await digestOf(`${BASE}; ${change}`, selector)).toBe(await digestOf(BASE, selector));
  });

  it.each<readonly [string, Chosen, string]>([
    ["content", { path: "/d" }, "printf x > d/sub/b"],
    ["modes", { path: "/d" }, "chmod 600 d/a"],
    ["modes of directories", { path: "/d" }, "chmod 700 d/sub"],
    ["modes of which a copy makes others", { path: "/d", modeChange: "u=rwX,go=" }, "chmod 755 d/a"],
    ["names", { path: "/d" }, "mv d/a d/z"],
    ["new files", { path: "/d" }, "printf x > d/new"],
    ["empty directories", { path: "/d" }, "mkdir d/new"],
    ["targets of links", { path: "/d" }, "ln -sf b d/l"],
    ["kinds", { path: "/d" }, "rm d/a; mkfifo -m 644 d/a"],
    ["device numbers", { path: "/d" }, "rm d/a; mknod d/a c 1 3"],
    ["which names are one inode", { path: "/d" }, "printf a > d/z; rm d/a; ln d/z d/a; rm d/z; printf a > d/z"],
    ["what a link leads to", { path: "/link/a" }, "mkdir x; printf x > x/a; ln -sfn x link"],
    ["new matches of a wildcard", { path: "/*/a" }, "printf a > e/a"],
    ["where names end and contents begin", { path: "/d" }, "mv d/sub/b d/sub-b"],
  ])("knows %s", async (_, selector, change) => {
    const changed = await digestOf(`${BASE}; ${change}`, selector);
    expect(changed).not.toBe(await digestOf(BASE, selector));
  });

  it("knows owners and attributes of a tree, unless they are left out", async () => {
    const [plain, owned] = [
      await treeDigest(BASE, { path: "/d" }),
      await treeDigest(`${BASE}; chown 5 d/a`, { path: "/d" }),
    ];
    expect(owned).not.toBe(plain);
    const ignoring = { path: "/d", ignoreOwner: true };
    expect(await treeDigest(`${BASE}; chown 5 d/a`, ignoring)).toBe(await treeDigest(BASE, ignoring));
    const capable = await treeDigest(
      `${BASE}; setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 d/a`,
      { path: "/d" },
    );
    expect(capable).not.toBe(plain);
  });

  it("is the same for a context and for a tree with the same files", async () => {
    expect(await treeDigest(BASE, { path: "/d" })).toBe(await digestOf(BASE, { path: "/d" }));
  });

  it("counts what was selected", async () => {
    const source = bench.context(BASE);
    const selector = {
      path: "/d",
      followSymlink: true,
      wildcard: true,
      allowEmptyWildcard: true,
      includes: [],
      excludes: [],
      required: [],
    };
    expect(await bench.plane.run("contentDigest", { source, selector })).toMatchObject({ entries: 5, bytes: 2 });
  });

  it.each<readonly [string, Chosen, string]>([
    ["a path", { path: "/nope" }, '"/nope": not found'],
    ["a path below a file", { path: "/f/x" }, '"/f/x": not found'],
    ["the target of a link", { path: "/dangling" }, '"/dangling": not found'],
    ["a required path", { path: "/", includes: ["d/nope"], required: ["/d/nope"] }, '"/d/nope": not found'],
    [
      "a required path behind a link",
      { path: "/", includes: ["link/a"], required: ["/link/a"] },
      '"/link/a": not found',
    ],
    ["a match that there must be", { path: "/x*", allowEmptyWildcard: false }, "/x* not found"],
  ])("misses %s", async (_, selector, words) => {
    const source = bench.context(`${BASE}; ln -s nowhere dangling`);
    await expect(bench.digest(source, selector)).rejects.toMatchObject({ code: "not-found", message: words });
  });

  it("misses what the context's patterns leave out", async () => {
    await expect(digestOf(BASE, { path: "/f" }, ["f"])).rejects.toThrow('"/f": not found');
  });

  it("stays what it was in the last release", async () => {
    expect(
      await digestOf("umask 022; mkdir d; printf a > d/a; ln -s a d/l; chmod 755 d; chmod 644 d/a", { path: "/d" }),
    ).toMatchInlineSnapshot(`"sha256:3a531e023cdbe94791059b6eb37ff406c2be0db2a129cc732b45ac86efc723c3"`);
  });
});

const NAMES = ["a", "b", "dir", "dir/a", "dir/b", "dir/deep/a", "z"] as const;
const entry = fc.record({
  name: fc.constantFrom(...NAMES),
  text: fc.constantFrom("", "1", "2"),
  mode: fc.constantFrom("644", "755"),
});
const selectors: readonly Chosen[] = [
  { path: "/" },
  { path: "/dir" },
  { path: "/*" },
  { path: "/", includes: ["dir/*"] },
  { path: "/", excludes: ["**/a"] },
];

describe("two contexts", () => {
  it("have one digest exactly if copies of them are alike", async () => {
    const context = fc.array(entry, { maxLength: 4 });
    const property = fc.asyncProperty(context, context, fc.constantFrom(...selectors), async (one, two, selector) => {
      const [a, b] = [await outcome(one, selector), await outcome(two, selector)];
      if (a.digest === undefined || b.digest === undefined) return;
      expect(a.digest === b.digest).toBe(a.copy === b.copy);
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

async function outcome(entries: readonly { name: string; text: string; mode: string }[], selector: Chosen) {
  const directory = bench.directory();
  for (const { name, text, mode } of entries) {
    const at = path.join(directory, name);
    try {
      fs.mkdirSync(path.dirname(at), { recursive: true });
      fs.writeFileSync(at, text);
      fs.chmodSync(at, mode);
    } catch {
      // Something else has that name already.
    }
  }
  execFileSync("/bin/sh", ["-c", "find . | xargs touch -h -d @1000000000"], { cwd: directory });
  try {
    const digest = await bench.digest(bench.scan(directory), selector);
    const action = copyAction(selector.path, "/x/", {
      includePatterns: selector.includes ?? [],
      excludePatterns: selector.excludes ?? [],
      timestamp: 1_000_000_000,
    });
    const layer = await bench.apply([], { action, source: bench.scan(directory) });
    return { digest, copy: listing(bench.layerDirectory(layer)).join("\n") };
  } catch {
    return { digest: undefined, copy: undefined };
  }
}
