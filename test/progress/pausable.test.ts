import { describe, expect, it } from "vitest";
import { createPausable, createTtyRenderer, type Renderer } from "../../src/progress/index.js";
import { ManualClock, Paper, scriptOf } from "./stage.js";

/** Writes each event's type. */
function paused(paper: Paper) {
  return createPausable(
    paper,
    (out): Renderer => ({
      emit: (event) => void out.write(`${event.type === "log" ? Buffer.from(event.chunk).toString() : event.type}\n`),
      finish: (summary) => void out.write(`${summary.kind}\n`),
    }),
  );
}

const done = { kind: "silent" } as const;

describe("a renderer that is paused", () => {
  it("holds back what comes, and shows it afterwards", () => {
    const [paper, clock] = [new Paper(), new ManualClock()];
    const renderer = paused(paper);
    const { start } = scriptOf((event) => renderer.emit(event), clock);
    start("a");
    const resume = renderer.pause();
    start("b");
    expect(paper.text).toBe("vertex-started\n");
    resume();
    expect(paper.text).toBe("vertex-started\nvertex-started\n");
    renderer.finish(done);
    expect(paper.text).toBe("vertex-started\nvertex-started\nsilent\n");
  });

  it("keeps no more than the newest mebibyte", () => {
    const [paper, clock] = [new Paper(), new ManualClock()];
    const renderer = paused(paper);
    const { start, log } = scriptOf((event) => renderer.emit(event), clock);
    start("a");
    paper.text = "";
    const resume = renderer.pause();
    for (let i = 0; i < 3; i++) log("a", `${i}`.repeat(1 << 19));
    resume();
    expect(paper.text).toBe(`[${2 * (1 << 19) + 2} characters of output are left out here]\n${"2".repeat(1 << 19)}\n`);
  });

  it("leaves what is drawn, and draws below what others have written", () => {
    const [paper, clock] = [new Paper(), new ManualClock()];
    const renderer = createTtyRenderer(paper, { clock, window: () => ({ columns: 60, rows: 24 }) });
    const { start } = scriptOf((event) => renderer.emit(event), clock);
    start("a");
    const resume = renderer.pause();
    const written = paper.writes.length;
    start("b");
    clock.pass(1000);
    expect(paper.writes).toHaveLength(written);
    expect(clock.waiting).toBe(0);
    resume();
    expect(paper.writes).toHaveLength(written + 1);
    expect(paper.writes.at(-1)).not.toMatch(/\x1b\[\d+A/);
    clock.pass(100);
    expect(paper.writes.at(-1)).toMatch(/\x1b\[3A/);
    renderer.pause();
    renderer.finish(done);
    expect(clock.waiting).toBe(0);
  });
});
