import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, hexOf } from "../../src/base/index.js";
import { Bench, copyAction } from "./file-harness.js";

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const ALL = { path: "/" };
const OLD = new Date("2001-09-09T01:46:40Z");

/** A context whose files are old enough for the manifest. */
async function settled(script: string): Promise<string> {
  const directory = bench.directory(script);
  await pastTick();
  return directory;
}

/** Waits until file times lie behind the clock by more than a tick. */
async function pastTick(): Promise<void> {
  const until = Date.now() + 120;
  while (Date.now() < until) await new Promise((resolve) => setImmediate(resolve));
}

const manifests = () => fs.readdirSync(bench.contexts).map((name) => path.join(bench.contexts, name));

function forgetAll(): void {
  for (const file of manifests()) fs.rmSync(file);
}

it("the state directory is no part of a context that it lies in", async () => {
  const around = path.dirname(path.dirname(bench.contexts));
  const whole = bench.scan(around);
  const [before, state] = [await bench.digest(whole, ALL), { path: "/state" }];
  await expect(bench.digest(whole, state)).rejects.toMatchObject({ code: "not-found" });
  await bench.layer("echo more > file");
  expect(await bench.digest(bench.scan(around), ALL)).toBe(before);
});

describe("a context's manifest", () => {
  it("is believed as long as a file is as it was", async () => {
    forgetAll();
    const directory = await settled("printf one > f");
    const before = await bench.digest(bench.scan(directory), ALL);
    const [manifest = ""] = manifests();
    forge(manifest, hexOf(digestOf("one")), hexOf(digestOf("two")));
    expect(await bench.digest(bench.scan(directory), ALL)).not.toBe(before);
    fs.writeFileSync(path.join(directory, "f"), "one");
    expect(await bench.digest(bench.scan(directory), ALL)).toBe(before);
  });

  it("does not believe a hash again that the copied bytes belied", async () => {
    forgetAll();
    const directory = await settled("printf one > f");
    const right = await bench.digest(bench.scan(directory), ALL);
    forge(manifests()[0] ?? "", hexOf(digestOf("one")), hexOf(digestOf("two")));
    const source = bench.scan(directory);
    expect(await bench.digest(source, ALL)).not.toBe(right);
    const request = { action: copyAction("/", "/x"), source };
    await expect(bench.apply([], request)).rejects.toMatchObject({ code: "changed" });
    const again = bench.scan(directory);
    expect(await bench.digest(again, ALL)).toBe(right);
    await bench.apply([], { ...request, source: again });
  });

  it("does not keep what was written a moment ago", async () => {
    forgetAll();
    const directory = bench.directory("printf one > f");
    await bench.digest(bench.scan(directory), ALL);
    expect(manifests()).toEqual([]);
  });

  it("notices a write that keeps size and mtime", async () => {
    const directory = await settled("printf one > f");
    const at = path.join(directory, "f");
    fs.utimesSync(at, OLD, OLD);
    await pastTick();
    const before = await bench.digest(bench.scan(directory), ALL);
    fs.writeFileSync(at, "two");
    fs.utimesSync(at, OLD, OLD);
    expect(await bench.digest(bench.scan(directory), ALL)).not.toBe(before);
  });

  it("notices another file that was moved into a file's place", async () => {
    const directory = await settled("printf one > f; printf two > g; touch -r f g");
    const only = { path: "/f" };
    const before = await bench.digest(bench.scan(directory), only);
    fs.renameSync(path.join(directory, "g"), path.join(directory, "f"));
    expect(await bench.digest(bench.scan(directory), only)).not.toBe(before);
  });

  it("counts as empty when it is damaged, cut off or of another kind", async () => {
    forgetAll();
    const directory = await settled("printf one > f; printf two > g");
    const before = await bench.digest(bench.scan(directory), ALL);
    const [manifest = ""] = manifests();
    const good = fs.readFileSync(manifest);
    for (const bad of [good.subarray(0, good.length - 1), Buffer.from("junk"), Buffer.alloc(0), flip(good)]) {
      fs.writeFileSync(manifest, bad);
      expect(await bench.digest(bench.scan(directory), ALL)).toBe(before);
    }
  });

  it("forgets files that have gone", async () => {
    forgetAll();
    const directory = await settled("mkdir d; printf one > d/gone; printf two > d/stays");
    await bench.digest(bench.scan(directory), ALL);
    fs.rmSync(path.join(directory, "d/gone"));
    fs.writeFileSync(path.join(directory, "d/new"), "new");
    await pastTick();
    await bench.digest(bench.scan(directory), ALL);
    const text = fs.readFileSync(manifests()[0] ?? "", "latin1");
    expect([text.includes("d/stays"), text.includes("d/new"), text.includes("d/gone")]).toEqual([true, true, false]);
  });
});

/** Puts another hash into a manifest, whose own checksum then is right again. */
function forge(manifest: string, from: string, to: string): void {
  const [format = "", , ...body] = fs.readFileSync(manifest, "latin1").split("\n");
  const forged = body.join("\n").replace(from, to);
  fs.writeFileSync(manifest, `${format}\n${hexOf(digestOf(Buffer.from(forged, "latin1")))}\n${forged}`, "latin1");
}

function flip(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const last = copy.length - 1;
  copy[last] = (copy[last] ?? 0) ^ 1;
  return copy;
}

type Edit = readonly [what: "write" | "remove" | "mkdir" | "touch" | "chmod" | "link", name: string, text: string];

describe("a scan with a manifest", () => {
  it("gives the digest that one without gives, whatever is edited between builds", async () => {
    const name = fc.constantFrom("a", "b", "d/a", "d/b", "d/e/a", "d");
    const what = fc.constantFrom<Edit[0]>("write", "remove", "mkdir", "touch", "chmod", "link");
    const builds = fc.array(fc.array(fc.tuple(what, name, fc.constantFrom("1", "2", "33")), { maxLength: 4 }), {
      maxLength: 4,
    });
    const property = fc.asyncProperty(builds, async (edits) => {
      const directory = bench.directory("printf 1 > a; mkdir d; printf 2 > d/b");
      for (const edit of edits) {
        for (const [action, at, text] of edit) perform(action, path.join(directory, at), text);
        const known = await bench.digest(bench.scan(directory), ALL);
        forgetAll();
        expect(await bench.digest(bench.scan(directory), ALL)).toBe(known);
      }
    });
    await fc.assert(property, { numRuns: 40 });
  });
});

function perform(what: Edit[0], at: string, text: string): void {
  try {
    if (what === "write") fs.writeFileSync(at, text);
    else if (what === "remove") fs.rmSync(at, { recursive: true });
    else if (what === "mkdir") fs.mkdirSync(at, { recursive: true });
    else if (what === "touch") fs.utimesSync(at, OLD, OLD);
    else if (what === "chmod") fs.chmodSync(at, text === "1" ? 0o600 : 0o755);
    else fs.symlinkSync(text, at);
  } catch {
    // The edit makes no sense here.
  }
}

describe("a scan", () => {
  it("sees a context as it was when it was first looked at, until it is forgotten", async () => {
    const source = bench.context("printf one > f");
    if (source.kind !== "context") throw new Error("a context");
    const before = await bench.digest(source, ALL);
    fs.writeFileSync(path.join(source.directory, "g"), "two");
    expect(await bench.digest(source, ALL)).toBe(before);
    await bench.plane.run("forgetScan", { scanId: source.scanId }, { affinity: "scan" });
    expect(await bench.digest(source, ALL)).not.toBe(before);
  });

  it("works on a thread that shares the process's root", async () => {
    const source = bench.context("printf one > f");
    const selector = {
      path: "/f",
      followSymlink: true,
      wildcard: true,
      allowEmptyWildcard: true,
      includes: [],
      excludes: [],
      required: [],
    };
    await using other = new Bench();
    const { digest } = await other.plane.read("contentDigest", { source, selector });
    expect(digest).toBe(await bench.digest(source, { path: "/f" }));
  });

  it("tells how much it saw and which files are large", async () => {
    const source = bench.context("mkdir d; truncate -s 5000 d/big; printf abc > small; ln -s small l; mkfifo p", [
      "ignored",
    ]);
    expect(await bench.plane.run("scanSummary", { source })).toEqual({
      files: 2,
      bytes: 5003,
      largest: [
        { path: "d/big", bytes: 5000 },
        { path: "small", bytes: 3 },
      ],
    });
  });

  it("reads single files, through links inside the context only", async () => {
    const source = bench.context(
      "mkdir d; printf text > d/f; ln -s /d/f l; ln -s /etc/passwd out; mkfifo p; printf x > x",
    );
    const read = async (at: string) => {
      const bytes = await bench.plane.run("readSourceFile", { source, path: at, maxBytes: 10 });
      return bytes && Buffer.from(bytes).toString();
    };
    expect([
      await read("d/f"),
      await read("/l"),
      await read("out"),
      await read("p"),
      await read("d"),
      await read("d/f/g"),
    ]).toEqual(["text", "text", undefined, undefined, undefined, undefined]);
    expect(await bench.plane.run("statSource", { source, path: "l" })).toMatchObject({ kind: "file", size: 4, uid: 0 });
    await expect(bench.plane.run("readSourceFile", { source, path: "d/f", maxBytes: 3 })).rejects.toThrow(
      '"/d/f" exceeds 3 bytes',
    );
  });

  it("does not go through a link that takes a directory's place", async () => {
    const outside = bench.directory("printf secret > f");
    const source = bench.context("mkdir d; printf text > d/f");
    if (source.kind !== "context") throw new Error("a context");
    expect(await bench.plane.run("statSource", { source, path: "d" })).toMatchObject({ kind: "dir" });
    fs.renameSync(path.join(source.directory, "d"), path.join(source.directory, "e"));
    fs.symlinkSync(outside, path.join(source.directory, "d"));
    expect(await bench.plane.run("readSourceFile", { source, path: "d/f", maxBytes: 100 })).toBeUndefined();
    await expect(bench.digest(source, { path: "/d" })).rejects.toMatchObject({ code: "changed" });
  });

  it("does not read below what its patterns leave out", async () => {
    const directory = bench.directory("mkdir -p a/b skipped; printf x > a/b/f");
    fs.symlinkSync("loop", path.join(directory, "skipped/loop"));
    const selector = { ...ALL };
    const digest = await bench.digest(bench.scan(directory, ["skipped", "a/*", "!a/b"]), selector);
    expect(digest).toBe(await bench.digest(bench.context("mkdir -p a/b; printf x > a/b/f"), selector));
  });

  it("refuses a context that is no directory", async () => {
    const file = path.join(bench.directory("printf x > f"), "f");
    await expect(bench.digest(bench.scan(file), ALL)).rejects.toThrow(`open ${file}: not a directory`);
    await expect(bench.digest(bench.scan(`${file}-missing`), ALL)).rejects.toThrow("no such file or directory");
  });
});
