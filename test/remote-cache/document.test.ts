import fc from "fast-check";
import { expect, test } from "vitest";
import { type Digest, digestOf } from "../../src/base/index.js";
import type { StoredRecord } from "../../src/cache/index.js";
import { type Descriptor, MediaType, type Provider } from "../../src/oci/index.js";
import { composeCache } from "../../src/remote-cache/compose.js";
import { type CacheLayer, encodeCache, type FoundRecord, openCache } from "../../src/remote-cache/document.js";
import { TREE_LAYERS_MAX } from "../../src/snapshot/index.js";
import { explainedKey } from "../../src/solver/index.js";

function layerOf(id: number): CacheLayer {
  const digest = digestOf(`blob ${id}`);
  return {
    diffId: digestOf(`diff ${id}`),
    createdAt: id,
    descriptor: { mediaType: MediaType.ociLayerGzip, digest, size: id },
  };
}

const preimageOf = (name: string) => ({ v: 1 as const, op: digestOf(name), inputs: [] });
const keyOf = (name: string) => explainedKey(preimageOf(name)).key;

function recordOf(n: number, trees: readonly (readonly number[])[]): StoredRecord {
  const keys = [preimageOf(`definition ${n}`), preimageOf(`content ${n}`)];
  const contents = [[0, "/bin", digestOf(`content of ${n}`)]] as const;
  return { keys, contentKey: keyOf(`content ${n}`), results: trees, contents, description: `step ${n}` };
}

/** A provider of blobs at hand, and which of them it was asked for. */
function blobs(parts: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[]) {
  const read: Digest[] = [];
  const provider: Provider = {
    async *read({ digest }) {
      read.push(digest);
      yield parts.find(({ descriptor }) => descriptor.digest === digest)?.bytes ?? Buffer.alloc(0);
    },
  };
  return { provider, read };
}

const stacks = ({ results }: FoundRecord) => results?.map((stack) => stack.map(({ createdAt }) => createdAt));

test("what was written is found under each of its keys, however large the cache is", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 8 }), { maxLength: 3 }), {
        maxLength: 400,
      }),
      async (results) => {
        const layers = new Map(Array.from({ length: 30 }, (_, i) => [i + 1, layerOf(i + 1)]));
        const { config, parts } = encodeCache(
          composeCache(
            results.map((trees, n) => recordOf(n, trees)),
            layers,
          ),
        );
        const { provider, read } = blobs(parts);
        const index = openCache(config, provider);
        for (const [n, trees] of results.entries()) {
          for (const name of ["definition", "content"]) {
            const found = await index.find(keyOf(`${name} ${n}`), {});
            expect(found && stacks(found)).toEqual(trees);
          }
        }
        expect(await index.find(keyOf("nothing"), {})).toBeUndefined();
        expect(new Set(read).size).toBe(read.length);
      },
    ),
    { numRuns: 30 },
  );
});

test("of a large cache only the part is read that a key asks for", async () => {
  const records = Array.from({ length: 2000 }, (_, n) => recordOf(n, [[1]]));
  const { config, parts } = encodeCache(composeCache(records, new Map([[1, layerOf(1)]])));
  const { provider, read } = blobs(parts);
  expect(await openCache(config, provider).find(keyOf("content 7"), {})).toMatchObject({ name: "step 7" });
  expect(parts).toHaveLength(16);
  expect(read).toHaveLength(1);
});

test("equal caches are equal bytes, in whatever order their steps were found", () => {
  const records = Array.from({ length: 20 }, (_, n) => recordOf(n, [[1, 2], [n + 1]]));
  const layers = new Map(Array.from({ length: 30 }, (_, i) => [i + 1, layerOf(i + 1)]));
  const forth = encodeCache(composeCache(records, layers));
  const back = encodeCache(composeCache([...records].reverse(), layers));
  expect(back.config.equals(forth.config)).toBe(true);
});

test("of a step whose layers are left out only is known what it holds", async () => {
  const { config } = encodeCache(composeCache([recordOf(1, [[1, 2]])], new Map([[1, layerOf(1)]])));
  const found = await openCache(config, blobs([]).provider).find(keyOf("content 1"), {});
  expect(found?.results).toBeUndefined();
  expect(found?.contents).toEqual([[0, "/bin", digestOf("content of 1")]]);
});

const { provider } = blobs([]);
const open = (value: unknown) => openCache(Buffer.from(JSON.stringify(value)), provider);
const EMPTY = { v: 1, layers: [], chains: [], records: [] };
const RECORD = { keys: [preimageOf("a")], contentKey: keyOf("a"), results: [0], contents: [], name: "" };

test("a cache of another version is none of ours", () => {
  expect(() => open({ ...EMPTY, v: 2 })).toThrow("a cache of version 2");
  expect(() => open({})).toThrow(expect.objectContaining({ code: "invalid" }));
});

test("a malformed cache is refused", () => {
  const layer = { ...layerOf(1), descriptor: { ...layerOf(1).descriptor, mediaType: "text/plain" } };
  for (const change of [
    { layers: [layer] },
    { layers: Array.from({ length: 3000 }, () => layerOf(1)) },
    { chains: [[-2, 0]] },
    { records: [{ ...RECORD, contentKey: "sha256:0" }] },
    { records: [{ ...RECORD, keys: [] }] },
    { records: [{ ...RECORD, keys: [{ ...preimageOf("a"), more: 1 }] }] },
    { records: undefined, parts: [1, 2, 3].map(() => ({ digest: keyOf("a"), size: 1 })) },
  ])
    expect(() => open({ ...EMPTY, ...change })).toThrow(expect.objectContaining({ code: "invalid" }));
});

test("chains that lead nowhere or in a circle are refused", () => {
  for (const chains of [
    [[0, 0]],
    [
      [1, 0],
      [0, 0],
    ],
    [[-1, 7]],
  ])
    expect(() => open({ ...EMPTY, layers: [layerOf(1)], chains })).toThrow(
      expect.objectContaining({ code: "invalid" }),
    );
});

test("a chain that there isn't is refused when it is followed", async () => {
  const index = open({ ...EMPTY, layers: [layerOf(1)], records: [RECORD] });
  await expect(index.find(keyOf("a"), {})).rejects.toMatchObject({ code: "invalid" });
});

const DEEP = TREE_LAYERS_MAX + 1;

test("a cache with a chain of more layers than can be mounted is refused, however few different ones they are", () => {
  const chains = Array.from({ length: DEEP }, (_, i) => [i - 1, 0]);
  const layers = [layerOf(1)];
  expect(() => open({ ...EMPTY, layers, chains })).toThrow("results of more than 500 layers");
  expect(() => open({ ...EMPTY, layers, chains: chains.slice(1) })).toThrow("no layers of chain 0");
  expect(() => open({ ...EMPTY, layers, chains: chains.slice(0, -1) })).not.toThrow();
});

test("of a step with more layers than can be mounted only is written what it holds", async () => {
  const ids = Array.from({ length: DEEP }, (_, i) => i + 1);
  const layers = new Map(ids.map((id) => [id, layerOf(id)]));
  const { config } = encodeCache(composeCache([recordOf(1, [ids]), recordOf(2, [ids.slice(1)])], layers));
  const index = openCache(config, blobs([]).provider);
  expect(await index.find(keyOf("content 1"), {})).toMatchObject({ results: undefined });
  expect((await index.find(keyOf("content 2"), {}))?.results?.[0]).toHaveLength(TREE_LAYERS_MAX);
});

test("a part that is no part is refused", async () => {
  const bytes = Buffer.from("no gzip");
  const part = { digest: digestOf(bytes), size: bytes.length };
  const { provider } = blobs([{ descriptor: { ...part, mediaType: "" }, bytes }]);
  const index = openCache(Buffer.from(JSON.stringify({ ...EMPTY, records: undefined, parts: [part] })), provider);
  await expect(index.find(keyOf("a"), {})).rejects.toMatchObject({ code: "invalid" });
});
