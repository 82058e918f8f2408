import { describe, expect, it } from "vitest";
import { Flight, forAll, heardByMany } from "../../src/base/index.js";

/** What Node warned of while WORK ran. */
async function warnings(work: () => Promise<unknown>): Promise<readonly string[]> {
  const told: string[] = [];
  const listen = (warning: Error) => told.push(warning.name);
  process.on("warning", listen);
  await work();
  // Node warns in a turn of its own.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  return told;
}

const many = Array.from({ length: 30 }, (_, i) => i);

describe("a signal that many listen to", () => {
  it("is no leak to Node where many things are done at once", async () => {
    const flight = new Flight<number, void>();
    const step = () => new Promise<void>((resolve) => setImmediate(resolve));
    const shared = (i: number, signal: AbortSignal) =>
      flight.do(i, (own) => forAll(many, () => flight.do(i + 100, step, { signal: own }), { signal }).then(() => {}), {
        signal,
      });
    expect(await warnings(() => forAll(many, shared, {}))).toEqual([]);
  });

  it("is the same signal", () => {
    const { signal } = new AbortController();
    expect(heardByMany(signal)).toBe(signal);
  });
});
