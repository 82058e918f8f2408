import fc from "fast-check";
import { expect, test } from "vitest";
import { type Toy, World } from "./world.js";

/** FROM base AS builder; COPY . /src; RUN make; FROM base; COPY --from=builder /app /app */
function dockerfile(
  files: string,
  make: (input: string) => string = (c) => `make(${c})`,
  options: Partial<Toy> = {},
): Toy {
  const base: Toy = { name: "base", key: "base", inputs: [], by: [], kept: false, compute: () => "base" };
  const local: Toy = { name: "local", key: undefined, inputs: [], by: [], kept: false, compute: () => files };
  const copy: Toy = {
    name: "copy",
    key: "copy",
    inputs: [base, local],
    by: ["definition", "content"],
    compute: ([b, l]) => `${b}+${l}`,
  };
  const run: Toy = {
    name: "make",
    key: "make",
    inputs: [copy],
    by: ["definition"],
    compute: ([c]) => make(c ?? ""),
    ...options,
  };
  const after: Toy = {
    name: "strip",
    key: "strip",
    inputs: [run],
    by: ["definition"],
    compute: ([c]) => `strip(${c})`,
  };
  return {
    name: "final",
    key: "final",
    inputs: [base, after],
    by: ["definition", "content"],
    compute: ([b, m]) => `${b}+${m}`,
  };
}
const ran = (world: World) =>
  world.log.filter((line) => line.startsWith("run ") && !/base|local/.test(line)).map((line) => line.slice(4));

test("a first build runs every step once", async () => {
  const world = new World();
  expect(await world.build(dockerfile("x"))).toBe("base+strip(make(base+x))");
  expect(ran(world)).toEqual(["copy", "make", "strip", "final"]);
});

test("the same files give a build that runs nothing and loads only the end", async () => {
  const world = new World();
  await world.build(dockerfile("x"));
  world.log.length = 0;
  expect(await world.build(dockerfile("x"))).toBe("base+strip(make(base+x))");
  expect(world.log.filter((line) => !/base$|local/.test(line))).toEqual(["load base+strip(make(base+x))"]);
});

test("other files run everything that sees them", async () => {
  const world = new World();
  await world.build(dockerfile("x"));
  world.log.length = 0;
  expect(await world.build(dockerfile("y"))).toBe("base+strip(make(base+y))");
  expect(ran(world)).toEqual(["copy", "make", "strip", "final"]);
});

test("a step whose inputs come out equal again is found by their content", async () => {
  const world = new World();
  const same = () => "same";
  await world.build(dockerfile("x", same));
  world.log.length = 0;
  await world.build(dockerfile("y", same));
  expect(ran(world)).toEqual(["copy", "make", "strip"]);
});

test("a content digest that a record holds needs no result to be loaded", async () => {
  const world = new World();
  await world.build(dockerfile("x"));
  world.log.length = 0;
  const changedEnd = { ...dockerfile("x"), key: "final2" };
  await world.build(changedEnd);
  expect(ran(world)).toEqual(["final"]);
});

test("a step run under --no-cache gives its consumers its new content, and later builds the newest results", async () => {
  const world = new World();
  let version = 1;
  const make = () => `v${version}`;
  await world.build(dockerfile("x", make));
  version = 2;
  world.log.length = 0;
  expect(await world.build(dockerfile("x", make, { ignoreCache: true }))).toBe("base+strip(v2)");
  expect(ran(world)).toEqual(["make", "strip", "final"]);
  world.log.length = 0;
  expect(await world.build(dockerfile("x", make))).toBe("base+strip(v2)");
  expect(ran(world)).toEqual([]);
});

test("under --no-cache an unchanged result lets the steps behind it hit from the second time on", async () => {
  const world = new World();
  const again = dockerfile("x", undefined, { ignoreCache: true });
  await world.build(again);
  await world.build(again);
  world.log.length = 0;
  await world.build(again);
  expect(ran(world)).toEqual(["make"]);
});

test("a record that can no longer be loaded is made again, and what was built on it is right", async () => {
  const world = new World();
  await world.build(dockerfile("x"));
  for (const id of world.recordIds) world.broken.add(id);
  world.log.length = 0;
  expect(await world.build(dockerfile("x"))).toBe("base+strip(make(base+x))");
  expect(ran(world).sort()).toEqual(["copy", "final", "make", "strip"]);
});

test("two builds at once run a step once", async () => {
  const world = new World();
  const results = await Promise.all([world.build(dockerfile("x")), world.build(dockerfile("x"))]);
  expect(results).toEqual(["base+strip(make(base+x))", "base+strip(make(base+x))"]);
  expect(ran(world)).toEqual(["copy", "make", "strip", "final"]);
});

test("what a step stands on runs beside the stage that it copies from, though the copy may still be found", async () => {
  const world = new World();
  const started = new Map<string, () => void>();
  const waits = new Map(["stage", "ground"].map((name) => [name, new Promise<void>((go) => started.set(name, go))]));
  const step = (name: string, other: string): Toy => ({
    name,
    key: name,
    inputs: [],
    by: [],
    compute: () => name,
    until: async () => {
      started.get(name)?.();
      await waits.get(other);
    },
  });
  const copy: Toy = {
    name: "copy",
    key: "copy",
    inputs: [step("ground", "stage"), step("stage", "ground")],
    by: ["definition", "content"],
    compute: (all) => all.join("+"),
  };
  expect(await world.build(copy)).toBe("ground+stage");
  expect(ran(world).sort()).toEqual(["copy", "ground", "stage"]);
});

test("the first failure cancels what runs beside it and is the one reported", async () => {
  const world = new World();
  const failing: Toy = {
    name: "bad",
    key: "bad",
    inputs: [],
    by: [],
    compute: () => {
      throw new Error("boom");
    },
  };
  const beside: Toy = { name: "good", key: "good", inputs: [], by: [], compute: () => "good" };
  const both: Toy = {
    name: "both",
    key: "both",
    inputs: [failing, beside],
    by: ["definition", "definition"],
    compute: (all) => all.join(),
  };
  await expect(world.build(both)).rejects.toThrow("boom");
});

const consumers = fc.array(fc.constantFrom("definition" as const, "content" as const), { minLength: 1, maxLength: 4 });

test("a failure is that of the vertex that it came from, however its consumers count it", async () => {
  await fc.assert(
    fc.asyncProperty(consumers, fc.boolean(), fc.boolean(), async (ways, inKey, ignoreCache) => {
      const fail = () => {
        throw new Error("boom");
      };
      let toy: Toy = {
        name: "bad",
        get key() {
          return inKey ? fail() : "bad";
        },
        inputs: [],
        by: [],
        compute: fail,
        kept: false,
        ignoreCache,
      };
      for (const [i, by] of ways.entries()) {
        toy = { name: `${i}`, key: `${i}`, inputs: [toy], by: [by], compute: (all) => all.join() };
      }
      expect(await new World().failing(toy)).toBe("bad");
    }),
  );
});

test("a graph of two thousand steps in a row is solved without a deep stack", async () => {
  const world = new World();
  let toy: Toy = { name: "0", key: "0", inputs: [], by: [], compute: () => "0" };
  for (let i = 1; i < 2_000; i++) {
    const below = toy;
    toy = { name: `${i}`, key: `${i}`, inputs: [below], by: ["definition"], compute: () => `${i}` };
  }
  expect(await world.build(toy)).toBe("1999");
  world.log.length = 0;
  expect(await world.build(toy)).toBe("1999");
  expect(world.log).toEqual(["load 1999"]);
});
