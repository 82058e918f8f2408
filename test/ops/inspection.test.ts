import { describe, expect, it } from "vitest";
import { type FailedStep, Inspection } from "../../src/ops/index.js";

function step(name: string): FailedStep {
  return { vertex: { name } } as unknown as FailedStep;
}

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe("looking at failed steps", () => {
  it("is done at one at a time, in the order in which they failed", async () => {
    const looked: string[] = [];
    const [first, leaving] = [gate(), gate()];
    const inspection = new Inspection(async ({ vertex }) => {
      looked.push(vertex.name);
      if (vertex.name === "a") await leaving.opened;
    });
    const { signal } = new AbortController();
    const shown = [
      inspection.show(step("a"), { signal, settled: first.opened }),
      inspection.show(step("b"), { signal, settled: Promise.resolve() }),
    ];
    await Promise.resolve();
    expect(looked).toEqual(["a"]);
    leaving.open();
    await shown[0];
    expect(looked).toEqual(["a"]); // it has not ended yet: its failure may end the build
    first.open();
    await shown[1];
    expect(looked).toEqual(["a", "b"]);
  });

  it("is not done once the first one's failure has ended the build, however many wait", async () => {
    const looked: string[] = [];
    const build = new AbortController();
    const inspection = new Inspection(async ({ vertex }) => void looked.push(vertex.name));
    const run = async (name: string) => {
      const failed = gate();
      const settled = failed.opened.then(() => Promise.reject(new Error(name)));
      settled.catch(() => build.abort());
      await inspection.show(step(name), { signal: build.signal, settled });
      failed.open();
    };
    await Promise.all(["a", "b", "c"].map(run));
    expect(looked).toEqual(["a"]);
  });
});
