import fc from "fast-check";
import { expect, test } from "vitest";
import type { Digest } from "../../src/base/index.js";
import { align } from "../../src/cache/history/alignment.js";
import { treeDifference, withIgnoreRules } from "../../src/cache/history/tree-difference.js";
import { type ContentTree, type Traits, TreeSketch } from "../../src/snapshot/content-tree.js";
import type { TreeListing } from "../../src/snapshot/index.js";

const FILE: Traits = ["file", "644", "0:0", "3 abc", ""];
const DIRECTORY: Traits = ["dir", "755", "0:0", "", ""];
const BASE: Readonly<Record<string, Traits>> = { a: FILE, d: DIRECTORY, "d/b": FILE, "d/e": DIRECTORY, "d/e/c": FILE };

function treeOf(entries: Readonly<Record<string, Traits>>): ContentTree {
  const sketch = new TreeSketch();
  for (const [path, traits] of Object.entries(entries)) sketch.add(path, traits);
  return sketch.finish();
}

/** How B differs from A, and how many directories were read for that. */
function difference(a: Readonly<Record<string, Traits>>, b: Readonly<Record<string, Traits>>) {
  const [older, newer] = [treeOf(a), treeOf(b)];
  const parts = new Map([...older.directories, ...newer.directories].map(({ digest, text }) => [digest, text]));
  let reads = 0;
  const read = (digest: Digest): TreeListing => {
    reads++;
    return JSON.parse(parts.get(digest) ?? "[]");
  };
  return { ...treeDifference([older.root], [newer.root], read), reads: () => reads };
}

test.each<readonly [string, Readonly<Record<string, Traits | undefined>>, object]>([
  ["content", { "d/b": ["file", "644", "0:0", "3 abd", ""] }, { path: "d/b", change: { kind: "content" } }],
  [
    "owner",
    { "d/b": ["file", "644", "1:0", "3 abc", ""] },
    { path: "d/b", change: { kind: "owner", from: "0:0", to: "1:0" } },
  ],
  [
    "mode of a directory",
    { "d/e": ["dir", "700", "0:0", "", ""] },
    { path: "d/e", change: { kind: "mode", from: "0755", to: "0700" } },
  ],
  [
    "attributes",
    { "d/e/c": ["file", "644", "0:0", "3 abc", "f00"] },
    { path: "d/e/c", change: { kind: "attributes" } },
  ],
  ["hard link", { "d/b": ["file", "644", "0:0", "link a", ""] }, { path: "d/b", change: { kind: "link", to: "a" } }],
  [
    "type",
    { a: ["symlink", "", "0:0", "d", ""] },
    { path: "a", change: { kind: "type", from: "file", to: "symlink" } },
  ],
  [
    "a directory that is gone is told by what was in it",
    { "d/e": undefined, "d/e/c": undefined },
    { path: "d/e/c", change: { kind: "deleted" } },
  ],
  ["an empty directory that is new", { f: DIRECTORY }, { path: "f", change: { kind: "added" } }],
  ["a name that is no UTF-8", { "\xff": FILE }, { path: "\ufffd", change: { kind: "added" } }],
])("%s", (_, edit, change) => {
  const edited = Object.fromEntries(Object.entries({ ...BASE, ...edit }).filter(([, traits]) => traits !== undefined));
  expect(difference(BASE, edited as Record<string, Traits>).changes).toEqual([change]);
});

test("a file that went and one of the same traits that came are one that was renamed", () => {
  const { "d/b": moved = FILE, ...rest } = BASE;
  const unlike: Traits = ["file", "600", "0:0", "9 def", ""];
  const { changes } = difference({ ...rest, "d/b": unlike }, { ...rest, "x/y": unlike });
  expect(changes).toEqual([{ path: "x/y", change: { kind: "renamed", from: "d/b" } }]);
  expect(moved).toBe(FILE);
});

test("only directories that differ are read", () => {
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`d${n}/f`, FILE] as const));
  const { changes, reads } = difference(many, { ...many, "d7/f": ["file", "644", "0:0", "4 abc", ""] });
  expect(changes).toEqual([{ path: "d7/f", change: { kind: "content" } }]);
  expect(reads()).toBe(4);
});

test("a file of a large directory that changes makes a few small parts, and those that differ are read", () => {
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, FILE] as const));
  const edited = { ...many, f7: ["file", "644", "0:0", "4 abc", ""] as const };
  const { changes, reads } = difference(many, edited);
  expect(changes).toEqual([{ path: "f7", change: { kind: "content" } }]);
  expect(reads()).toBeLessThan(10);
  const known = new Set(treeOf(many).directories.map(({ digest }) => digest));
  const added = treeOf(edited).directories.filter(({ digest }) => !known.has(digest));
  expect(added.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(8_000);
});

test("directories of any sizes differ in what was edited", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom(..."abcdefgh") }), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(names, names, (older, newer) => {
      const [was, is] = [older, newer].map((all) =>
        Object.fromEntries(all.map((name) => [name, [...FILE.slice(0, 3), name, ""] as unknown as Traits])),
      );
      const found = difference(was ?? {}, is ?? {});
      const gone = older.filter((name) => !newer.includes(name));
      const came = newer.filter((name) => !older.includes(name));
      expect(found.changes.length + found.more).toBe(gone.length + came.length);
      for (const { path, change } of found.changes) expect(change.kind === "added" ? came : gone).toContain(path);
    }),
    { numRuns: 50 },
  );
});

test("what is more than can be told is counted", () => {
  const many = (content: string) =>
    Object.fromEntries(
      Array.from({ length: 1_000 }, (_, n) => [`d${n % 3}/f${n}`, ["file", "644", "0:0", content, ""] as const]),
    );
  const { changes, more } = difference(many("1 a"), many("1 b"));
  expect(changes.length + more).toBe(1_000);
});

test("directories that are not known any more say nothing", () => {
  const [older, newer] = [treeOf(BASE), treeOf({ a: FILE })];
  expect(treeDifference([older.root], [newer.root], () => undefined)).toEqual({ changes: [], more: 0 });
});

test("a file that rules leave out was not deleted, and the rule is named", () => {
  const deleted = [{ path: "d/x.md", change: { kind: "deleted" } }] as const;
  const ignored = [{ path: "d/x.md", change: { kind: "ignored", rule: "**/*.md" } }];
  expect(withIgnoreRules(deleted, ["*.tmp"], ["*.tmp", "**/*.md"])).toEqual(ignored);
  expect(withIgnoreRules(deleted, ["*.tmp"], ["*.tmp", "*.log"])).toEqual(deleted);
});

test("stages are aligned by their texts, in order, whatever was added, removed or changed", () => {
  const step = (text: string) => ({ mark: text, keyword: text.split(" ")[0] ?? "" });
  const pairs = (newer: readonly string[], older: readonly string[]) =>
    [...align(newer.map(step), older.map(step)).pairs].sort(([a], [b]) => a - b);
  expect(pairs(["RUN new", "RUN a", "RUN b"], ["RUN a", "RUN b"])).toEqual([
    [1, 0],
    [2, 1],
  ]);
  expect(pairs(["RUN b"], ["RUN a", "RUN b"])).toEqual([[0, 1]]);
  expect(pairs(["RUN b", "RUN a"], ["RUN a", "RUN b"])).toEqual([
    [0, 1],
    [1, 0],
  ]);
  expect(pairs(["RUN a", "RUN x", "RUN c"], ["RUN a", "RUN b", "RUN c"])).toEqual([
    [0, 0],
    [1, 1],
    [2, 2],
  ]);
  expect(pairs(["COPY x", "RUN y"], ["RUN a", "COPY b"])).toEqual([[0, 1]]);
});

test("an alignment pairs no step twice and keeps their order", () => {
  const texts = fc.array(fc.constantFrom("RUN a", "RUN b", "COPY a", "COPY b", "WORKDIR a"), { maxLength: 12 });
  const step = (text: string) => ({ mark: text, keyword: text.split(" ")[0] ?? "" });
  fc.assert(
    fc.property(texts, texts, (newer, older) => {
      const { pairs, moved } = align(newer.map(step), older.map(step));
      expect(new Set(pairs.values()).size).toBe(pairs.size);
      for (const at of pairs.values()) expect(at).toBeLessThan(older.length);
      const kept = [...pairs].filter(([at]) => !moved.has(at)).sort(([a], [b]) => a - b);
      for (const [n, [, at]] of kept.entries()) if (n > 0) expect(at).toBeGreaterThan(kept[n - 1]?.[1] ?? -1);
      for (const at of moved) expect(older[pairs.get(at) ?? -1]).toBe(newer[at]);
      if (newer.join() === older.join()) expect(pairs.size).toBe(newer.length);
    }),
  );
});
