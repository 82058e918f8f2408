import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/base/index.js";
import { createQuietRenderer, createRawjsonRenderer, type Summary, type Warning } from "../../src/progress/index.js";
import { ManualClock, Paper, scriptOf } from "./stage.js";

describe("rawjson progress", () => {
  it("writes BuildKit's status objects, one a line", () => {
    const clock = new ManualClock();
    const paper = new Paper();
    const renderer = createRawjsonRenderer(paper, { clock });
    const { start, log, transfer, fail, cached } = scriptOf((event) => renderer.emit(event), clock);
    const digest = digestOf("RUN x");
    const began = "2024-01-02T03:04:05.000Z";
    start("RUN x");
    clock.pass(250);
    log("RUN x", "hi\n", 2);
    transfer("RUN x", "layer", 5, 10);
    fail("RUN x", "exit code: 1");
    cached("COPY");
    renderer.emit({
      type: "warning",
      vertex: digest,
      warning: {
        rule: "R",
        message: "m",
        description: "d",
        url: "u",
        file: "Dockerfile",
        startLine: 3,
        endLine: 4,
        text: "X",
      },
    });
    const later = "2024-01-02T03:04:05.250Z";
    expect(
      paper.text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { vertexes: [{ digest, name: "RUN x", started: began }] },
      { logs: [{ vertex: digest, stream: 2, data: "aGkK", timestamp: later }] },
      { statuses: [{ id: "layer", vertex: digest, total: 10, current: 5, timestamp: later, started: later }] },
      { vertexes: [{ digest, name: "RUN x", started: began, completed: later, error: "exit code: 1" }] },
      { vertexes: [{ digest: digestOf("COPY"), name: "COPY", started: later, completed: later, cached: true }] },
      {
        warnings: [
          {
            vertex: digest,
            level: 1,
            short: Buffer.from("R: m (line 3)").toString("base64"),
            detail: ["ZA=="],
            url: "u",
            sourceInfo: { filename: "Dockerfile", language: "Dockerfile", data: "WA==" },
            range: [
              { start: { line: 3 }, end: { line: 3 } },
              { start: { line: 4 }, end: { line: 4 } },
            ],
          },
        ],
      },
    ]);
  });

  it("names the error in words after the objects", () => {
    const paper = new Paper();
    const renderer = createRawjsonRenderer(paper, { clock: new ManualClock(), color: true });
    renderer.finish({ kind: "failed", message: "no", hint: "try" });
    expect(paper.text).toBe("ERROR: no\ntry\n");
  });
});

describe("quiet progress", () => {
  it("says nothing of a build that succeeds", () => {
    const clock = new ManualClock();
    const paper = new Paper();
    const renderer = createQuietRenderer(paper, { clock });
    scriptOf((event) => renderer.emit(event), clock).start("RUN x");
    renderer.finish({ kind: "built", image: { names: ["a"] }, places: [] });
    expect(paper.text).toBe("");
  });

  it("warns of what is no check of the Dockerfile, whether the build succeeds or fails", () => {
    const warned = (summary: Summary) => {
      const paper = new Paper();
      const renderer = createQuietRenderer(paper, { clock: new ManualClock() });
      const warn = (warning: Warning) => renderer.emit({ type: "warning", vertex: undefined, warning });
      warn({ rule: "StageNameCasing", message: "Stage name 'A' should be lowercase", startLine: 1 });
      warn({ message: "the option counts for nothing" });
      renderer.finish(summary);
      return paper.text;
    };
    const warning = "WARNING: the option counts for nothing\n";
    expect(warned({ kind: "built", image: { names: ["a"] }, places: [] })).toBe(warning);
    expect(warned({ kind: "failed", message: "no" })).toBe(`${warning}ERROR: no\n`);
    expect(warned({ kind: "silent" })).toBe("");
  });

  it("says why a build failed", () => {
    const paper = new Paper();
    createQuietRenderer(paper, { clock: new ManualClock() }).finish({
      kind: "failed",
      message: "no",
      causes: ["disk"],
    });
    expect(paper.text).toBe("ERROR: no\n  caused by: disk\n");
  });

  it("shows the last output of the step that failed", () => {
    const clock = new ManualClock();
    const paper = new Paper();
    const renderer = createQuietRenderer(paper, { clock });
    const script = scriptOf((event) => renderer.emit(event), clock);
    script.start("RUN make");
    script.log("RUN make", "no rule\n");
    script.fail("RUN make", "exit code: 2");
    renderer.finish({ kind: "failed", message: "no" });
    expect(paper.text).toBe("------\n > RUN make:\n0.000 no rule\n------\nERROR: no\n");
  });
});
