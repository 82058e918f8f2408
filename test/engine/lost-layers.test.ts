import { expect, test } from "vitest";
import { type Digest, digestOf } from "../../src/base/index.js";
import { noneLost } from "../../src/engine/lost-layers.js";
import { MediaType } from "../../src/oci/index.js";

const STORED = digestOf("stored");

function layer(name: string, origins: readonly string[] = ["place"]) {
  const descriptor = { mediaType: MediaType.ociLayer, digest: digestOf(name), size: 1 };
  return { descriptor, diffId: digestOf(`diff of ${name}`), origins };
}

function open() {
  const store = { info: async (digest: Digest) => (digest === STORED ? { digest } : undefined) };
  return noneLost({ outputs: { store } } as unknown as Parameters<typeof noneLost>[0]);
}

const gone = (name: string) => ({ image: layer(name), message: "", gone: ["place"], unread: [], lying: [] });

test("a place that has lost one layer is asked for others, until it has lost many", async () => {
  const lost = open();
  expect(lost.add(gone("a"))).toBe(true);
  expect(lost.add(gone("a"))).toBe(false);
  expect(await lost.isNowhere(layer("a"))).toBe(true);
  expect(await lost.isNowhere(layer("a", ["place", "other"]))).toBe(false);
  expect(await lost.isNowhere(layer("b"))).toBe(false);
  expect(lost.has("place")).toBe(false);
  for (let i = 0; i < 20; i++) lost.add(gone(`more ${i}`));
  expect(lost.has("place")).toBe(true);
  expect(await lost.isNowhere(layer("b"))).toBe(true);
});

test("of a place that can't be read counts what is here already, of one that lies nothing", async () => {
  const lost = open();
  expect(lost.add({ ...gone("a"), gone: [], unread: ["place"] })).toBe(true);
  expect(await lost.isNowhere(layer("b"))).toBe(true);
  expect(await lost.isNowhere(layer("stored"))).toBe(false);
  expect(lost.add({ ...gone("a"), gone: [], lying: ["place"] })).toBe(true);
  expect(await lost.isNowhere(layer("stored"))).toBe(true);
  expect(lost.add({ ...gone("a"), gone: [], lying: ["place"] })).toBe(false);
});
