import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTtyRenderer } from "../../src/progress/index.js";
import { textWidth, truncate } from "../../src/progress/text-width.js";
import { ManualClock, Paper, scriptOf } from "./stage.js";

function stage(columns: number, rows: number, color = false) {
  const clock = new ManualClock();
  const paper = new Paper();
  const window = { columns, rows };
  const renderer = createTtyRenderer(paper, { clock, color, window: () => window });
  const frame = () =>
    stripVTControlCharacters(paper.writes.at(-1) ?? "")
      .replace(/^\r/, "")
      .split("\n")
      .slice(0, -1);
  return { clock, paper, renderer, window, frame, ...scriptOf((event) => renderer.emit(event), clock) };
}

const nothing = { kind: "built", image: undefined, places: [] } as const;

describe("tty progress", () => {
  it("shows a header, a line per step with its time at the right, and the last output of running steps", () => {
    const { clock, frame, cached, start, log } = stage(60, 24);
    cached("[1/3] FROM docker.io/library/alpine");
    start("[2/3] RUN make");
    for (let i = 0; i < 9; i++) log("[2/3] RUN make", `\x1b[32mline\t${i}\x1b[0m\n`);
    clock.pass(1200);
    expect(frame()).toEqual([
      "[+] Building 1.2s (1/2)",
      ` => CACHED [1/3] FROM docker.io/library/alpine${" ".repeat(8)} 0.0s`,
      ` => [2/3] RUN make${" ".repeat(36)} 1.2s`,
      ...[3, 4, 5, 6, 7, 8].map((i) => ` => => # line ${i}`),
    ]);
  });

  it("shows transfers under way, without their count where the window is too narrow", () => {
    const wide = stage(60, 24);
    wide.start("FROM alpine");
    wide.transfer("FROM alpine", "sha256:0123456789", 1_000_000, 3_000_000);
    wide.clock.pass(100);
    expect(wide.frame()[2]).toBe(` => => sha256:0123456789 1.00MB / 3.00MB${" ".repeat(14)} 0.1s`);
    const narrow = stage(30, 24);
    narrow.start("FROM alpine");
    narrow.transfer("FROM alpine", "sha256:0123456789", 1_000_000, 3_000_000);
    narrow.clock.pass(100);
    expect(narrow.frame()[2]).toBe(" => => sha256:0123456789 0.1s");
  });

  it("redraws at most ten times a second and stops when the build ends", () => {
    const { clock, paper, renderer, start, log } = stage(80, 24);
    start("RUN x");
    for (let i = 0; i < 1000; i++) {
      log("RUN x", "flood\n");
      clock.pass(1);
    }
    expect(paper.writes.length).toBeLessThanOrEqual(11);
    renderer.finish(nothing);
    expect(clock.waiting).toBe(0);
    expect(paper.text).toContain("FINISHED");
  });

  it("never draws wider or higher than the window, whatever happens in it", () => {
    const name = fc.string({ unit: "grapheme", maxLength: 60 });
    const event = fc.record({
      kind: fc.constantFrom("start", "log", "transfer", "end", "cached"),
      step: fc.nat(9),
      text: name,
    });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 30 }),
        (events, columns, rows) => {
          const show = stage(columns, rows);
          for (const { kind, step, text } of events) {
            const id = `${step} 漢字 ${"step ".repeat(step)}`;
            if (kind === "start") show.start(id);
            else if (kind === "log") show.log(id, `${text}\n`);
            else if (kind === "transfer") show.transfer(id, text, step, 100);
            else if (kind === "cached") show.cached(id);
            else show.end(id);
            show.clock.pass(100);
            if (show.paper.writes.length === 0) continue;
            expect(show.frame().length).toBeLessThan(Math.max(rows, 1));
            for (const line of show.frame()) expect(textWidth(line)).toBeLessThanOrEqual(Math.max(columns - 1, 1));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("goes back over the rows that its lines take once the window was made narrower", () => {
    const { clock, paper, window, start } = stage(80, 24);
    start("RUN x");
    expect(paper.writes.at(-1)).toContain("RUN x");
    window.columns = 41;
    clock.pass(100);
    // 23 columns of header in one row, 79 of the step in two.
    expect(paper.writes.at(-1)).toContain("\x1b[3A");
    clock.pass(100);
    expect(paper.writes.at(-1)).toContain("\x1b[2A");
  });

  it("keeps running steps in view when there are more steps than rows", () => {
    const { clock, frame, start, end } = stage(60, 8);
    start("slow");
    for (let i = 0; i < 30; i++) {
      start(`step ${i}`);
      end(`step ${i}`);
    }
    clock.pass(100);
    expect(frame()[0]).toContain("(30/31)");
    expect(frame()[1]).toContain("slow");
    expect(frame().at(-1)).toContain("step 29");
  });

  it("lists every step at the end, with the words of what failed", () => {
    const { paper, frame, renderer, start, log, fail, end } = stage(60, 6);
    for (let i = 0; i < 10; i++) {
      start(`step ${i}`);
      end(`step ${i}`);
    }
    start("RUN false");
    log("RUN false", "oh no");
    fail("RUN false", "exit code: 1");
    renderer.finish({ kind: "failed", message: "exit code: 1" });
    expect(paper.writes.at(-1)).toBe("------\n > RUN false:\n0.000 oh no\n------\nERROR: exit code: 1\n");
    paper.writes.pop();
    expect(frame().length).toBe(12);
    expect(frame().at(-1)).toContain("=> ERROR RUN false");
    expect(frame()[0]).not.toContain("FINISHED");
  });

  it("colours only where colours are wanted", () => {
    const plain = stage(60, 24, false);
    plain.cached("a");
    expect(plain.paper.text).not.toContain("\x1b[34m");
    const coloured = stage(60, 24, true);
    coloured.cached("a");
    expect(coloured.paper.text).toContain("\x1b[34m => CACHED a");
  });

  it("leaves the cursor visible after every write", () => {
    const { clock, paper, start } = stage(60, 24);
    start("RUN x");
    clock.pass(500);
    for (const write of paper.writes) expect(write.endsWith("\x1b[?25h")).toBe(true);
  });
});

describe("the width of text", () => {
  it.each([
    ["abc", 3],
    ["漢字", 4],
    ["é", 1],
    ["e\u0301", 1],
    ["🚀", 2],
    ["한국", 4],
    ["", 0],
  ])("of %j is %i", (text, width) => expect(textWidth(text)).toBe(width));

  it("is kept to by truncation", () => {
    expect(truncate("漢字漢字", 5)).toBe("漢字…");
    expect(truncate("abcdef", 6)).toBe("abcdef");
    expect(truncate("abcdefg", 6)).toBe("abcde…");
  });
});
