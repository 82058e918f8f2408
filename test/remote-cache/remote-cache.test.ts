import fc from "fast-check";
import { expect, test } from "vitest";
import { type Digest, digestOf, errorCode } from "../../src/base/index.js";
import { MediaType, type Provider } from "../../src/oci/index.js";
import type { CacheDocument } from "../../src/remote-cache/document.js";
import { encodeCache, openCache } from "../../src/remote-cache/document.js";
import { type CacheSource, createRemoteCache } from "../../src/remote-cache/index.js";
import type { ImageLayer, LayerStore } from "../../src/snapshot/index.js";
import { type CacheManager, explainedKey, type NewRecord } from "../../src/solver/index.js";
import { type Json, mutated, mutation } from "./mutations.js";

interface Opened {
  readonly tree: readonly number[];
}

const preimage = { v: 1 as const, op: digestOf("op"), inputs: [] };
const { key } = explainedKey(preimage);
const record = { keys: [preimage], contentKey: key, results: [0], contents: [], name: "step" };
const layer = {
  diffId: digestOf("diff"),
  createdAt: 1,
  descriptor: { mediaType: MediaType.ociLayer, digest: digestOf("blob"), size: 4 },
};

/** Looks into a cache that is all well but for what RECORDS say, for a step of one result. */
function lookUp(records: CacheDocument["records"], createdAt = 1) {
  return lookInto(encodeCache({ layers: [{ ...layer, createdAt }], chains: [[-1, 0]], records }).config);
}

interface Surroundings {
  /** Blobs that are known to be gone from the cache. */
  readonly lost?: readonly Digest[];
  readonly images?: readonly (readonly ImageLayer[])[];
}

async function lookInto(config: Buffer, { lost = [], images = [] }: Surroundings = {}) {
  const adopted: (string | undefined)[][] = [];
  const saved: NewRecord<Opened>[] = [];
  const warnings: string[] = [];
  const local = {
    find: async () => undefined,
    save: async (entry: NewRecord<Opened>) => {
      saved.push(entry);
      return { id: "kept", contentKey: entry.contentKey };
    },
    noteContent: async () => {},
  } as unknown as CacheManager<Opened>;
  const nothing: Provider = { async *read() {} };
  const source: CacheSource = {
    name: "place",
    open: async () => [{ index: openCache(config, nothing), origin: "place", provider: nothing }],
  };
  const cache = createRemoteCache<Opened>({
    sources: [source],
    local,
    layers: {
      adopt: async (layers: readonly ImageLayer[]) => {
        adopted.push(layers.map(({ origin }) => origin));
        return layers.map((_, i) => i);
      },
      known: (layers: readonly unknown[]) => layers.map(() => undefined),
    } as unknown as LayerStore,
    build: "build",
    isNowhere: async ({ descriptor }) => lost.includes(descriptor.digest),
    images: () => images,
    open: (tree) => ({ tree }),
    opening: (source, options) => source.open(options),
    onWarning: (sentence) => warnings.push(sentence),
  });
  const found = await cache.find(key, { outputs: 1 });
  return { found, saved, warnings, adopted };
}

test("of a record with a layer that is gone only is known what it holds, unless an image of the build has that, too", async () => {
  const top = {
    ...layer,
    diffId: digestOf("top"),
    descriptor: { ...layer.descriptor, digest: digestOf("top blob") },
  };
  const chains = [
    [-1, 0],
    [0, 1],
  ] as const;
  const { config } = encodeCache({ layers: [layer, top], chains, records: [{ ...record, results: [1] }] });
  const base = [{ ...layer, origin: "base" }];
  for (const [surroundings, places] of [
    [{}, [["place", "place"]]],
    [{ lost: [layer.descriptor.digest] }, []],
    [{ lost: [layer.descriptor.digest], images: [[{ ...top, origin: "other" }]] }, []],
    [{ lost: [top.descriptor.digest], images: [base] }, []],
    [{ lost: [layer.descriptor.digest], images: [base] }, [["base"], ["place", "place"]]],
  ] as const) {
    const { found, adopted, warnings } = await lookInto(config, surroundings);
    expect(found).toMatchObject(places.length > 0 ? { id: "kept" } : { isHollow: true, contentKey: key });
    expect(adopted).toEqual(places);
    expect(warnings).toEqual([]);
  }
});

test("a record that fits its step is kept as this machine's", async () => {
  const { found, saved } = await lookUp([record]);
  expect(found?.id).toBe("kept");
  expect(saved).toMatchObject([{ contentKey: key, results: [{ tree: [0] }] }]);
});

test.each([
  ["no result", { results: [] }],
  ["too many results", { results: [0, 0] }],
  ["another step's key", { contentKey: digestOf("other") }],
  ["contents of a result that there isn't", { contents: [[1, "/", digestOf("content")] as const] }],
  ["a chain that there isn't", { results: [1] }],
])("a record with %s is not kept, and its cache not used any more", async (_, change) => {
  const { found, saved, warnings } = await lookUp([{ ...record, ...change }]);
  expect({ found, saved }).toEqual({ found: undefined, saved: [] });
  expect(warnings).toEqual([expect.stringMatching(/^the cache place is not used any more: /)]);
});

test("a layer of no time that can be written makes a cache malformed", async () => {
  await expect(lookUp([record], 2 ** 53 - 1)).rejects.toMatchObject({ code: "invalid" });
});

test("whatever a cache says, it is malformed, or a record of it is kept as one for the step, or none", async () => {
  const { config } = encodeCache({
    layers: [layer, layer],
    chains: [[-1, 0]],
    records: [record, { ...record, name: "b" }],
  });
  const document = JSON.parse(config.toString()) as Json;
  await fc.assert(
    fc.asyncProperty(mutation, async (mutation) => {
      try {
        const { saved } = await lookInto(mutated(document, mutation).bytes);
        for (const { keys, contentKey, results } of saved) {
          expect(results).toHaveLength(1);
          expect(keys.map((each) => each.key)).toContain(contentKey);
        }
      } catch (error) {
        expect(["invalid", "unsupported"], String(error)).toContain(errorCode(error));
      }
    }),
    { numRuns: 500 },
  );
});
