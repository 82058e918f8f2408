import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Digest, digestOf, hexOf } from "../../src/base/index.js";
import type { Bytes, Descriptor, Provider } from "../../src/oci/index.js";
import { type ContentStore, createContentStore, tiered } from "../../src/store/index.js";

const NOW = 1_700_000_000_000;
const clock = { now: () => NOW };

let root: string;
let store: ContentStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "store-"));
  store = createContentStore(root, clock);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const of = (content: string): Descriptor => ({ mediaType: "x", digest: digestOf(content), size: content.length });
async function* stream(...chunks: string[]): Bytes {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
async function text(content: Bytes): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
const digests = async (): Promise<readonly Digest[]> => {
  const found: Digest[] = [];
  for await (const { digest } of store.walk()) found.push(digest);
  return found.sort();
};
const garbage = async (): Promise<readonly string[]> => readdir(path.join(root, "ingest")).catch(() => []);

describe("ingest", () => {
  it("stores what it is given and says what that was", async () => {
    expect(await store.ingest(stream("he", "llo"), { mediaType: "x" })).toEqual(of("hello"));
    expect(await text(store.read(of("hello")))).toBe("hello");
    expect(await text(store.read(of("hello"), { offset: 2 }))).toBe("llo");
    expect(await readFile(store.path(of("hello").digest), "utf8")).toBe("hello");
    expect(await store.info(of("hello").digest)).toMatchObject({ sizeBytes: 5, digest: of("hello").digest });
    expect(await garbage()).toEqual([]);
  });

  it("keeps the same content once, durable or not", async () => {
    await store.ingest(stream("hello"), of("hello"), { durable: true });
    await store.ingest(stream("hello"), of("hello"));
    expect(await digests()).toEqual([of("hello").digest]);
  });

  it.each([
    ["another digest", { ...of("hello"), digest: of("other").digest }],
    ["fewer bytes", { ...of("hello"), size: 6 }],
    ["more bytes", { ...of("hello"), size: 4 }],
  ])("refuses %s than expected and leaves nothing", async (_, expected) => {
    await expect(store.ingest(stream("hello"), expected)).rejects.toMatchObject({ code: "data-loss" });
    expect(await digests()).toEqual([]);
    expect(await garbage()).toEqual([]);
  });

  it("leaves nothing of content that fails or is aborted", async () => {
    const controller = new AbortController();
    const failing = async function* (): Bytes {
      yield Buffer.from("x");
      throw new Error("cut");
    };
    const aborting = async function* (): Bytes {
      yield Buffer.from("x");
      controller.abort();
      yield Buffer.from("y");
    };
    await expect(store.ingest(failing(), { mediaType: "x" })).rejects.toThrow("cut");
    const aborted = store.ingest(aborting(), { mediaType: "x" }, { signal: controller.signal });
    await expect(aborted).rejects.toMatchObject({ code: "canceled" });
    expect(await digests()).toEqual([]);
    expect(await garbage()).toEqual([]);
  });

  it("says that the disk is full", async () => {
    const full: Bytes = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(Object.assign(new Error("write"), { code: "ENOSPC" })),
      }),
    };
    await expect(store.ingest(full, { mediaType: "x" })).rejects.toMatchObject({ code: "no-space" });
  });
});

describe("adopt", () => {
  it("takes a file over, unless it is of another size", async () => {
    const file = path.join(root, "made");
    await writeFile(file, "hello");
    await expect(store.adopt(file, { ...of("hello"), size: 4 })).rejects.toMatchObject({ code: "data-loss" });
    await store.adopt(file, of("hello"));
    expect(await text(store.read(of("hello")))).toBe("hello");
    await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("read", () => {
  it("finds only what is there", async () => {
    await expect(text(store.read(of("hello")))).rejects.toMatchObject({ code: "not-found" });
    expect(await store.info(of("hello").digest)).toBeUndefined();
    expect(await digests()).toEqual([]);
  });

  it("removes a damaged blob, so that it is fetched again", async () => {
    await store.ingest(stream("hello"), of("hello"));
    await writeFile(store.path(of("hello").digest), "hellx");
    await expect(text(store.read(of("hello")))).rejects.toMatchObject({ code: "data-loss" });
    await expect(text(store.read(of("hello")))).rejects.toMatchObject({ code: "not-found" });
  });

  it("removes a blob that was cut, but not one of whose size somebody is wrong", async () => {
    await store.ingest(stream("hello"), of("hello"));
    await expect(text(store.read({ ...of("hello"), size: 4 }))).rejects.toMatchObject({ code: "data-loss" });
    expect(await text(store.read(of("hello")))).toBe("hello");
    await writeFile(store.path(of("hello").digest), "hell");
    await expect(text(store.read(of("hello")))).rejects.toMatchObject({ code: "data-loss" });
    await expect(text(store.read(of("hello")))).rejects.toMatchObject({ code: "not-found" });
  });
  it("leaves a damaged blob where somebody only looks, who may take it out of the store", async () => {
    const { digest } = await store.ingest(stream("hello"), of("hello"));
    await writeFile(store.path(digest), "hellx");
    await expect(text(store.peek(of("hello")))).rejects.toMatchObject({ code: "data-loss" });
    expect(await digests()).toEqual([digest]);
    await store.setAside(digest);
    await store.setAside(digest);
    expect(await digests()).toEqual([]);
    expect(await store.sweep({ isAlone: () => true })).toBe(5);
    expect(await readdir(path.join(root, "ingest"))).toEqual([]);
  });

  it("does not remove a good blob for a descriptor that lies about its size", async () => {
    await store.ingest(stream("hello"), of("hello"));
    await expect(text(store.read({ ...of("hello"), size: 4 }))).rejects.toMatchObject({ code: "data-loss" });
    await expect(text(store.read({ ...of("hello"), size: 9 }))).rejects.toMatchObject({ code: "data-loss" });
    expect(await text(store.read(of("hello")))).toBe("hello");
  });
});

describe("ensure", () => {
  const counting = (content: string) => {
    const provider = {
      reads: 0,
      read: (_: Descriptor) => {
        provider.reads++;
        return stream(content);
      },
    };
    return provider satisfies Provider;
  };

  it("does not rely on a small blob of the right size that holds something else", async () => {
    const { digest } = await store.ingest(stream("hello"), of("hello"));
    await writeFile(store.path(digest), "hellx");
    const from = counting("hello");
    await store.ensure(of("hello"), from);
    await store.ensure(of("hello"), from);
    expect(from.reads).toBe(1);
    expect(await text(store.read(of("hello")))).toBe("hello");
  });

  it("makes an old blob young, so that nobody takes it for one that nobody needs", async () => {
    const { digest } = await store.ingest(stream("hello"), of("hello"));
    await utimes(store.path(digest), NOW / 1000 - 3600, NOW / 1000 - 3600);
    await store.ensure(of("hello"), counting("hello"));
    expect(await store.info(digest)).toMatchObject({ createdAt: NOW });
  });

  it("fetches a blob once for all who ask, and never again", async () => {
    const far = counting("hello");
    await Promise.all([1, 2, 3].map(() => store.ensure(of("hello"), far)));
    await store.ensure(of("hello"), far);
    expect(far.reads).toBe(1);
  });

  it("fetches again what lost its end", async () => {
    const far = counting("hello");
    await store.ensure(of("hello"), far);
    await truncate(store.path(of("hello").digest), 2);
    await store.ensure(of("hello"), far);
    expect(far.reads).toBe(2);
    expect(await text(store.read(of("hello")))).toBe("hello");
  });

  it("goes on for the others when one who asked gives up", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow: Provider = {
      read: async function* () {
        await gate;
        yield Buffer.from("hello");
      },
    };
    const controller = new AbortController();
    const first = store.ensure(of("hello"), slow, { signal: controller.signal });
    const second = store.ensure(of("hello"), slow);
    first.catch(() => undefined);
    await Promise.resolve();
    release();
    controller.abort();
    await second;
    await first.catch(() => undefined);
    expect(await text(store.read(of("hello")))).toBe("hello");
  });

  it("reads through to what is far", async () => {
    const far = counting("hello");
    const provider = tiered(store, far);
    expect(await text(provider.read(of("hello"), { offset: 1 }))).toBe("ello");
    expect(await text(provider.read(of("hello")))).toBe("hello");
    expect(far.reads).toBe(1);
  });
});

describe("sweep and delete", () => {
  it("remove a blob, also one that isn't there", async () => {
    await store.ingest(stream("hello"), of("hello"));
    await store.delete(of("hello").digest);
    await store.delete(of("hello").digest);
    expect(await digests()).toEqual([]);
  });

  it("ignore files that are no blobs", async () => {
    await store.ingest(stream("hello"), of("hello"));
    await writeFile(path.join(root, "blobs/sha256/README"), "");
    expect(await digests()).toEqual([of("hello").digest]);
  });

  it("remove what was there before it was asked whether nobody else is", async () => {
    await store.ingest(stream("hello"), of("hello"));
    const leave = (name: string) => writeFile(path.join(root, "ingest", name), name);
    const isAlone = () => {
      const late = path.join(root, "ingest", "late");
      mkdirSync(late);
      return true;
    };
    await mkdir(path.join(root, "ingest", "early"));
    await leave("early/data");
    expect(await store.sweep({ isAlone })).toBe("early/data".length);
    expect(await garbage()).toEqual(["late"]);
  });

  it("remove what a killed process left, once nobody wrote to it for an hour", async () => {
    const script = `
      const fs = require("node:fs"), path = require("node:path");
      const dir = fs.mkdtempSync(path.join(process.argv[1], "ingest", "blob-"));
      fs.writeFileSync(path.join(dir, "data"), "half");
      process.kill(process.pid, "SIGKILL");`;
    await store.ingest(stream("hello"), of("hello"));
    await new Promise((resolve) => spawn(process.execPath, ["-e", script, root]).on("exit", resolve));
    const [left = ""] = await garbage();
    const age = async (ms: number) =>
      utimes(path.join(root, "ingest", left, "data"), (NOW - ms) / 1000, (NOW - ms) / 1000);
    await age(59 * 60 * 1000);
    expect(await store.sweep()).toBe(0);
    expect(await store.sweep({ isAlone: () => false })).toBe(0);
    await age(61 * 60 * 1000);
    expect(await store.sweep()).toBe(4);
    expect(await garbage()).toEqual([]);
    expect(await digests()).toEqual([of("hello").digest]);
  });

  it("keep blobs where the layout says", async () => {
    await store.ingest(stream("hello"), of("hello"));
    expect(await readdir(path.join(root, "blobs/sha256"))).toEqual([hexOf(of("hello").digest)]);
  });
});
