import { expect, test } from "vitest";
import { createLocks, Process, type Toy, World } from "./world.js";

/** A step that runs until it is let go, or fails if it is told to. */
function slowStep(fails: () => boolean = () => false): {
  readonly toy: Toy;
  readonly begun: Promise<void>;
  go(): void;
} {
  let begin = () => {};
  let go = () => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const gone = new Promise<void>((resolve) => (go = resolve));
  const until = async () => {
    begin();
    await gone;
    if (fails()) throw new Error("exit code 1");
  };
  return {
    toy: { name: "step", key: "step", inputs: [], by: [], compute: () => "made", until },
    begun,
    go: () => go(),
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const WAITS = "waiting for the same step of another build";

test("a step that another process runs is waited for, and then it is in the cache", async () => {
  const world = new World();
  const locks = createLocks();
  const [one, two] = [new Process(locks), new Process(locks)];
  const { toy, begun, go } = slowStep();
  const first = world.build(toy, { machine: one });
  await begun;
  const second = world.build(toy, { machine: two });
  await turn();
  expect(two.events).toEqual(["step vertex-started", WAITS]);
  go();
  expect(await Promise.all([first, second])).toEqual(["made", "made"]);
  expect(world.log).toEqual(["run step", "load made"]);
  expect(one.events).toEqual(["step vertex-started", "completed: done"]);
  expect(two.events).toEqual(["step vertex-started", WAITS, `${WAITS} done`, "step vertex-cached"]);
  expect(locks.held.size).toBe(0);
  expect(world.recordIds).toHaveLength(1);
});

test("a step that fails in one process is tried by the next one that waits", async () => {
  const world = new World();
  const locks = createLocks();
  let tries = 0;
  const { toy, begun, go } = slowStep(() => ++tries === 1);
  const first = world.build(toy, { machine: new Process(locks) });
  await begun;
  const waiting = new Process(locks);
  const second = world.build(toy, { machine: waiting });
  await turn();
  go();
  await expect(first).rejects.toThrow("exit code 1");
  expect(await second).toBe("made");
  // It begins when it runs: the wait is none of its time.
  const begins = "step vertex-started";
  expect(waiting.events).toEqual([begins, WAITS, `${WAITS} done`, begins, "completed: done"]);
  expect(locks.held.size).toBe(0);
});

test("waiting for another process ends with the build", async () => {
  const world = new World();
  const locks = createLocks();
  const waiting = new Process(locks);
  const { toy, begun, go } = slowStep();
  const first = world.build(toy, { machine: new Process(locks) });
  await begun;
  const stop = new AbortController();
  const second = world.build(toy, { machine: waiting, signal: stop.signal });
  await turn();
  stop.abort();
  await expect(second).rejects.toBe(stop.signal.reason);
  expect(waiting.events.at(-1)).toBe("completed: canceled");
  go();
  expect(await first).toBe("made");
  expect(locks.held.size).toBe(0);
});

test("what another process has made before this one comes to run it is not run again", async () => {
  const world = new World();
  const locks = createLocks();
  const { toy: input, begun, go } = slowStep();
  const step: Toy = { name: "final", key: "final", inputs: [input], by: ["definition"], compute: () => "final" };
  const slow = new Process({ take: async () => ({ [Symbol.dispose]() {} }) });
  const first = world.build(step, { machine: slow });
  await begun;
  const fast: Toy = { ...step, inputs: [{ ...input, until: async () => {} }] };
  expect(await world.build(fast, { machine: new Process(locks) })).toBe("final");
  go();
  expect(await first).toBe("final");
  expect(world.log.filter((line) => line === "run final")).toHaveLength(1);
  expect(slow.events.filter((event) => event.startsWith("final"))).toEqual(["final vertex-cached"]);
});

test("what runs whatever is in the cache waits for nobody", async () => {
  const world = new World();
  const locks = createLocks();
  const { toy, begun, go } = slowStep();
  const first = world.build(toy, { machine: new Process(locks) });
  await begun;
  const again = { ...toy, ignoreCache: true, until: async () => {} };
  expect(await world.build(again, { machine: new Process(locks) })).toBe("made");
  go();
  await first;
  expect(world.log.filter((line) => line === "run step")).toHaveLength(2);
});

test("builds of one process that wait for another process wait as one", async () => {
  const world = new World();
  const locks = createLocks();
  const waiting = new Process(locks);
  const { toy, begun, go } = slowStep();
  const first = world.build(toy, { machine: new Process(locks) });
  await begun;
  const others = [1, 2, 3].map(() => world.build(toy, { machine: waiting }));
  await turn();
  go();
  expect(await Promise.all([first, ...others])).toEqual(["made", "made", "made", "made"]);
  expect(world.log.filter((line) => line.startsWith("run"))).toEqual(["run step"]);
});
