import fs from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/base/index.js";
import { Workshop } from "../exporters/workshop.js";

let workshop: Workshop;
beforeEach(async () => {
  workshop = await Workshop.open();
  return () => workshop[Symbol.asyncDispose]();
});

const place = (layer: number) => path.join(workshop.dirs.layers, String(layer));
const filesOf = (layer: number) => fs.readdirSync(path.join(place(layer), "fs"));

async function diffIdOf(layer: number): Promise<Digest> {
  const [diffId] = await workshop.writer.diffIdsOf([layer]);
  if (diffId === undefined) throw new Error("no digest");
  return diffId;
}

describe("the number of a new layer", () => {
  it("is none whose place is taken, however the layer comes about", async () => {
    for (const taken of [1, 2, 40]) fs.mkdirSync(path.join(place(taken), "fs"), { recursive: true });
    fs.writeFileSync(path.join(place(1), "fs", "strange"), "");
    const [adopted = 0] = await workshop.layers.adopt([workshop.remoteLayer("touch known")], "build");
    const [made = 0] = await workshop.layer([], "touch new");
    expect([adopted, made]).toEqual([41, 42]);
    await workshop.layers.ensure([adopted]);
    expect(filesOf(adopted)).toEqual(["known"]);
    expect(filesOf(1)).toEqual(["strange"]);
  });
});

describe("a finished layer that has lost its files", () => {
  const losses: Readonly<Record<string, (layer: number) => void>> = {
    "is gone": (layer) => fs.rmSync(place(layer), { recursive: true }),
    "was emptied": (layer) => fs.rmSync(path.join(place(layer), "fs", "f")),
    "is a plain file": (layer) => {
      fs.rmSync(place(layer), { recursive: true });
      fs.writeFileSync(place(layer), "");
    },
  };

  it.each(Object.keys(losses))("is fetched again if it is an image's: %s", async (loss) => {
    const remote = workshop.remoteLayer("touch f");
    const [layer = 0] = await workshop.layers.adopt([remote], "build");
    await workshop.layers.ensure([layer]);
    expect(await workshop.layers.mend([layer])).toEqual([]);
    expect(workshop.layers.info(layer).state).toBe("ready");
    losses[loss]?.(layer);
    expect(await workshop.layers.mend([layer])).toEqual([]);
    expect(workshop.layers.info(layer).state).toBe("lazy");
    await workshop.layers.ensure([layer]);
    expect(filesOf(layer)).toEqual(["f"]);
    expect(await workshop.layers.mend([layer])).toEqual([]);
    expect(workshop.layers.info(layer).state).toBe("ready");
  });

  it.each(Object.keys(losses))("is lost if it was made here: %s", async (loss) => {
    const [layer = 0] = await workshop.layer([], "touch f");
    expect(await workshop.layers.mend([layer])).toEqual([]);
    losses[loss]?.(layer);
    expect(await workshop.layers.mend([layer])).toEqual([layer]);
  });

  it("is had again from a blob, if its image asks for it and there is one", async () => {
    const [layer = 0] = await workshop.layer([], "touch f");
    const diffId = await diffIdOf(layer);
    await workshop.layers.setChain([layer], [diffId]);
    const { descriptor } = await workshop.writer.gzipLayer(layer);
    const image = [{ descriptor, diffId, origin: "remote" }];
    fs.rmSync(place(layer), { recursive: true });
    expect(await workshop.layers.adopt(image, "build")).toEqual([layer]);
    expect(workshop.layers.info(layer).state).toBe("lazy");
    await workshop.store.delete(descriptor.digest);
  });

  it("is told to who builds on an image of it that has no blob", async () => {
    const [layer = 0] = await workshop.layer([], "touch f");
    const diffId = await diffIdOf(layer);
    await workshop.layers.setChain([layer], [diffId]);
    const { descriptor } = workshop.remoteLayer("true");
    fs.rmSync(place(layer), { recursive: true });
    const adopting = workshop.layers.adopt([{ descriptor, diffId, origin: "remote" }], "build");
    await expect(adopting).rejects.toMatchObject({ code: "data-loss", message: expect.stringContaining(diffId) });
  });

  it("leaves its name to one that is made like it", async () => {
    const [lost = 0] = await workshop.layer([], "touch f");
    const [other = 0] = await workshop.layer([], "touch f");
    const diffId = await diffIdOf(lost);
    expect(await workshop.layers.setChain([lost], [diffId])).toEqual([]);
    expect(await workshop.layers.setChain([other], [diffId])).toEqual([]);
    fs.rmSync(place(lost), { recursive: true });
    expect(await workshop.layers.setChain([other], [diffId])).toEqual([]);
    const { descriptor } = workshop.remoteLayer("true");
    expect(await workshop.layers.adopt([{ descriptor, diffId, origin: "remote" }], "build")).toEqual([other]);
  });

  it("is one that is known to hold something else", async () => {
    const [layer = 0] = await workshop.layer([], "touch f");
    await workshop.layers.distrust(layer);
    expect(await workshop.layers.mend([layer])).toEqual([layer]);
  });

  it("is told in a sentence where it is needed all the same", async () => {
    const tree = await workshop.layer([], "touch f");
    fs.rmSync(place(tree[0] ?? 0), { recursive: true });
    const message = `the files of layer ${tree[0]} are gone from the state directory`;
    const args = { layer: tree[0] ?? 0 };
    await expect(workshop.plane.run("measureLayer", args)).rejects.toMatchObject({ code: "data-loss", message });
    await expect(workshop.plane.run("surveyTree", { tree })).rejects.toMatchObject({ code: "data-loss", message });
    await expect(workshop.plane.control("mount", { tree })).rejects.toMatchObject({ code: "data-loss", message });
  });
});

describe("a layer that can't be had where it was seen", () => {
  it("is fetched from the image that has it, too, as other bytes if need be", async () => {
    const [base, top] = [workshop.remoteLayer("touch base"), workshop.remoteLayer("touch top")];
    const gone = { ...base, descriptor: { ...base.descriptor, digest: digestOf("gone") }, origin: "cache" };
    const tree = await workshop.layers.adopt([gone, { ...top, origin: "cache" }], "build");
    const [bottom = 0, upper = 0] = tree;
    expect(await workshop.layers.relocate(tree, [[top], [{ ...base, origin: "image" }]])).toEqual({
      moved: [bottom],
      left: [upper],
    });
    expect(workshop.layers.info(bottom).image).toMatchObject({ descriptor: base.descriptor, origins: ["image"] });
    await workshop.layers.ensure(tree);
    expect(filesOf(bottom)).toEqual(["base"]);
    expect(await workshop.layers.relocate([bottom], [[{ ...base, origin: "other" }]])).toEqual({
      moved: [],
      left: [bottom],
    });
  });
});
