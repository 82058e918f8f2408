import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { digestOf, systemClock } from "../../src/base/index.js";
import { MediaType, type Provider } from "../../src/oci/index.js";
import { encodeCache } from "../../src/remote-cache/document.js";
import { localSource, localTarget } from "../../src/remote-cache/index.js";

let directory: string;

beforeEach(() => {
  directory = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "local-place-")), "cache");
  return () => fs.rmSync(path.dirname(directory), { recursive: true });
});

function provider(bytes: Buffer): Provider {
  return {
    async *read() {
      yield bytes;
    },
  };
}

/** Writes a cache of one layer, TEXT, under TAG. */
async function write(tag: string, text: string): Promise<void> {
  const target = localTarget({ directory, tag, clock: systemClock, imageManifest: true, mediaTypes: "oci" });
  const bytes = Buffer.from(text);
  const layer = { mediaType: MediaType.ociLayer, digest: digestOf(bytes), size: bytes.length };
  await target.putBlob(layer, provider(bytes), { origins: [] });
  const layers = [{ diffId: layer.digest, createdAt: 0, descriptor: layer }];
  await target.publish({ ...encodeCache({ layers, chains: [], records: [] }), layers: [layer] }, {});
}

function tags(): readonly string[] {
  const { manifests } = JSON.parse(fs.readFileSync(path.join(directory, "index.json"), "utf8"));
  return manifests.map(
    ({ annotations }: { annotations: Record<string, string> }) => annotations["org.opencontainers.image.ref.name"],
  );
}

describe("a cache in a directory", () => {
  it("has the caches of all who write to it at once, of one tag the last, and nothing else", async () => {
    const writers = Array.from({ length: 12 }, (_, i) => ({ tag: `t${i % 6}`, text: `layer ${i}` }));
    await Promise.all(writers.map(({ tag, text }) => write(tag, text)));
    expect(tags().toSorted()).toEqual(["t0", "t1", "t2", "t3", "t4", "t5"]);
    for (const tag of tags()) expect(await localSource({ directory, tag }).open({})).toHaveLength(1);
    expect(fs.readdirSync(directory).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
  });

  it("is written where somebody was killed while writing it", async () => {
    await write("latest", "one");
    for (const name of ["index.json.next", "oci-layout.next", "index.json.lock"])
      fs.writeFileSync(path.join(directory, name), "{");
    await write("other", "two");
    expect(tags()).toEqual(["latest", "other"]);
    expect(fs.readdirSync(directory).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
  });
});

it("is not written where a link leads nowhere, and whose disk is full is said", async () => {
  fs.symlinkSync("nowhere", directory);
  await expect(write("one", "text")).rejects.toMatchObject({
    code: "invalid",
    message: /is a link that leads nowhere$/,
  });
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  fs.rmSync(directory);
  const target = localTarget({ directory, tag: "one", clock: systemClock, imageManifest: true, mediaTypes: "oci" });
  const layer = { mediaType: MediaType.ociLayer, digest: digestOf("x"), size: 1 };
  const failing: Provider = {
    async *read() {
      yield* [];
      throw full;
    },
  };
  // What is read may lie on another disk.
  await expect(target.putBlob(layer, failing, { origins: [] })).rejects.toMatchObject({
    code: "no-space",
    hint: undefined,
  });
});
