import fc from "fast-check";
import { expect, test } from "vitest";
import { type Toy, World } from "./world.js";

/** A layer of a random graph: which earlier vertices it takes and how, and what its op is. */
interface Plan {
  readonly op: number;
  readonly inputs: readonly { readonly from: number; readonly by: Toy["by"][number] }[];
  readonly source: boolean;
}

const plans = fc.array(
  fc.record({
    op: fc.nat(3),
    source: fc.boolean(),
    inputs: fc.array(
      fc.record({ from: fc.nat(20), by: fc.constantFrom<Toy["by"][number]>("definition", "content", "first") }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 8 },
);

/** One build of a history: edits to the ops and files, what is under --no-cache, which records vanish or break before it. */
const builds = fc.array(
  fc.record({
    edits: fc.array(fc.record({ at: fc.nat(7), op: fc.nat(3) }), { maxLength: 3 }),
    noCache: fc.array(fc.nat(7), { maxLength: 2 }),
    lost: fc.array(fc.nat(30), { maxLength: 4 }),
    broken: fc.array(fc.nat(30), { maxLength: 2 }),
  }),
  { minLength: 1, maxLength: 8 },
);

/** The graph with its last vertex as target. Every op takes part of its inputs into a short text, so that contents often agree. */
function graph(
  plan: readonly Plan[],
  ops: readonly number[],
  noCache: ReadonlySet<number>,
  versions: readonly number[],
): Toy {
  const toys: Toy[] = [];
  for (const [i, { inputs, source }] of plan.entries()) {
    const used = i === 0 ? [] : inputs.map(({ from, by }) => ({ toy: toys[from % i], by }));
    const isSource = source && used.length === 0;
    const op = ops[i] ?? 0;
    toys.push({
      name: `v${i}`,
      // Where the text tells the vertex, no other one may be found in its place.
      key: isSource ? undefined : `op${op}${versions.length > 0 ? ` of v${i}` : ""}`,
      kept: !isSource,
      inputs: used.flatMap(({ toy }) => toy ?? []),
      by: used.map(({ by }) => by),
      ignoreCache: !isSource && noCache.has(i),
      compute: (texts) =>
        `${"abcd"[op]}${isSource ? "" : `<${op === 0 ? "" : texts.map((text, n) => (used[n]?.by === "first" ? text.slice(0, 1) : text)).join("|")}>`}${versions[i] ? `#${i}.${versions[i]}` : ""}`,
    });
  }
  return toys.at(-1) as Toy;
}

const evaluate = (toy: Toy): string => toy.compute(toy.inputs.map(evaluate));
const runs = (world: World) => world.log.filter((line) => line.startsWith("run ")).length;

test("a build with a cache gives what one without gives, over random graphs, edits and losses", async () => {
  await fc.assert(
    fc.asyncProperty(plans, builds, async (plan, history) => {
      const world = new World();
      const ops = plan.map(({ op }) => op);
      for (const { edits, lost, broken } of history) {
        for (const { at, op } of edits) if (at < ops.length) ops[at] = op;
        const ids = world.recordIds;
        for (const n of lost) world.forget(ids[n] ?? "");
        for (const n of broken) world.broken.add(ids[n] ?? "");
        const toy = graph(plan, ops, new Set(), []);
        expect(await world.build(toy)).toBe(evaluate(toy));
      }
    }),
    { numRuns: 300 },
  );
});

test("what a build has done with may go while it builds, over random graphs and edits", async () => {
  let spared = 0;
  await fc.assert(
    fc.asyncProperty(plans, builds, async (plan, history) => {
      const world = new World();
      const ops = plan.map(({ op }) => op);
      for (const { edits, noCache, lost } of history) {
        for (const { at, op } of edits) if (at < ops.length) ops[at] = op;
        const ids = world.recordIds;
        for (const n of lost) world.forget(ids[n] ?? "");
        const toy = graph(plan, ops, new Set(noCache.filter((at) => at < plan.length)), []);
        expect(await world.build(toy, { isTight: true })).toBe(evaluate(toy));
        expect(runs(world)).toBe(new Set(world.log.filter((line) => line.startsWith("run "))).size);
        world.log.length = 0;
      }
      spared += world.spared;
    }),
    { numRuns: 300 },
  );
  expect(spared).toBeGreaterThan(0);
});

/** What a vertex is for the cache: its op, and of each input its own identity or the content that is taken of it. */
function identityOf(toy: Toy): string {
  const inputs = toy.inputs.map((input, n) => {
    if (toy.by[n] === "definition") return input.key === undefined ? evaluate(input) : identityOf(input);
    return toy.by[n] === "first" ? evaluate(input).slice(0, 1) : evaluate(input);
  });
  return JSON.stringify([toy.key, toy.by, inputs]);
}

function below(toy: Toy): readonly Toy[] {
  return [toy, ...toy.inputs.flatMap(below)];
}

test("whatever is edited and edited back, no step runs twice that is made of the same", async () => {
  await fc.assert(
    fc.asyncProperty(plans, builds, async (plan, history) => {
      const world = new World();
      const ops = plan.map(({ op }) => op);
      const made = new Set<string>();
      for (const { edits } of history) {
        for (const { at, op } of edits) if (at < ops.length) ops[at] = op;
        const toy = graph(plan, ops, new Set(), []);
        world.log.length = 0;
        await world.build(toy);
        const known = new Map(below(toy).map((each) => [each.name, each]));
        for (const line of world.log) {
          const ran = known.get(line.replace(/^run /, ""));
          if (!line.startsWith("run ") || ran?.key === undefined) continue;
          const identity = identityOf(ran);
          expect(made).not.toContain(identity);
          made.add(identity);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("a plan runs nothing, and says of every step what a build then does, or what it depends on", async () => {
  await fc.assert(
    fc.asyncProperty(plans, builds, async (plan, history) => {
      const world = new World();
      const ops = plan.map(({ op }) => op);
      for (const { edits, noCache } of history) {
        for (const { at, op } of edits) if (at < ops.length) ops[at] = op;
        const toy = graph(plan, ops, new Set(noCache.filter((at) => at < plan.length)), []);
        world.log.length = 0;
        const planned = await world.plan(toy);
        const sources = new Set(below(toy).flatMap(({ key, name }) => (key === undefined ? [name] : [])));
        const ranAt = () =>
          world.log.flatMap((line) => /^run (.*)/.exec(line)?.[1] ?? []).filter((name) => !sources.has(name));
        expect(ranAt()).toEqual([]);
        world.log.length = 0;
        await world.build(toy);
        const ran = new Set(ranAt());
        for (const [name, state] of planned) {
          if (state === "cached") expect(ran).not.toContain(name);
          if (state === "run" && isAlone(name, toy)) expect(ran).toContain(name);
        }
      }
    }),
    { numRuns: 200 },
  );
});

/** Whether no other vertex is made of the same: one of such runs for all. */
function isAlone(name: string, toy: Toy): boolean {
  const all = new Map(below(toy).map((each) => [each.name, identityOf(each)]));
  return [...all.values()].filter((identity) => identity === all.get(name)).length === 1;
}

test("a second build of the same runs no kept step", async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const world = new World();
      const toy = graph(
        plan,
        plan.map(({ op }) => op),
        new Set(),
        [],
      );
      await world.build(toy);
      world.log.length = 0;
      await world.build(toy);
      const sources = new Set(plan.flatMap(({ source }, i) => (source ? [`run v${i}`] : [])));
      expect(world.log.filter((line) => line.startsWith("run ") && !sources.has(line))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("what runs under --no-cache is seen, in that build, by everything built on it", async () => {
  await fc.assert(
    fc.asyncProperty(plans, builds, async (plan, history) => {
      const world = new World();
      const ops = plan.map(({ op }) => op);
      const versions = plan.map(() => 0);
      for (const { noCache } of history) {
        const ignored = new Set(noCache.filter((at) => at < plan.length));
        for (const at of ignored) versions[at] = (versions[at] ?? 0) + 1;
        const toy = graph(plan, ops, ignored, versions);
        const text = await world.build(toy);
        const wanted = evaluate(toy);
        for (const at of ignored) {
          const mark = new RegExp(`#${at}\\.(\\d+)`, "g");
          for (const [, version] of text.matchAll(mark))
            if (wanted.includes(`#${at}.`)) expect(Number(version)).toBe(versions[at]);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("no step runs twice in one build", async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const world = new World();
      await world.build(
        graph(
          plan,
          plan.map(({ op }) => op),
          new Set(),
          [],
        ),
      );
      expect(runs(world)).toBeLessThanOrEqual(plan.length);
    }),
    { numRuns: 100 },
  );
});
