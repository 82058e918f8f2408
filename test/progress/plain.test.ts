import { describe, expect, it } from "vitest";
import { createPlainRenderer } from "../../src/progress/index.js";
import { ManualClock, Paper, scriptOf } from "./stage.js";

function stage(options: { debug?: boolean } = {}) {
  const clock = new ManualClock();
  const paper = new Paper();
  const renderer = createPlainRenderer(paper, { clock, ...options });
  return { clock, paper, renderer, ...scriptOf((event) => renderer.emit(event), clock) };
}

const RUN = "[2/3] RUN make";
const COPY = "[3/3] COPY . /src";
const nothing = { kind: "built", image: undefined, places: [] } as const;

describe("plain progress", () => {
  it("numbers steps in the order they begin and ends each with its time", () => {
    const { clock, paper, renderer, start, end, cached, log } = stage();
    cached("[1/3] FROM base");
    start(RUN);
    clock.pass(123);
    log(RUN, "compiling\n");
    clock.pass(1077);
    end(RUN);
    renderer.finish(nothing);
    expect(paper.text).toBe("#1 [1/3] FROM base\n#1 CACHED\n\n#2 [2/3] RUN make\n#2 0.123 compiling\n#2 DONE 1.2s\n");
  });

  it("does not count what a step waited for before it began again", () => {
    const { clock, paper, renderer, start, end, note } = stage();
    start(RUN);
    note(RUN, "waiting", false);
    clock.pass(9000);
    note(RUN, "waiting", true);
    start(RUN);
    clock.pass(1200);
    end(RUN);
    renderer.finish(nothing);
    expect(paper.text.match(/RUN make/g)).toHaveLength(1);
    expect(paper.text).toMatch(/DONE 1\.2s\n$/);
  });

  it("interrupts a step by another one that ends, and names both again", () => {
    const { clock, paper, start, end, log } = stage();
    start(RUN);
    start(COPY);
    log(RUN, "one\n");
    end(COPY);
    clock.pass(50);
    log(RUN, "two\n");
    expect(paper.text).toBe(`#1 ${RUN}\n#1 0.000 one\n#1 ...\n\n#2 ${COPY}\n#2 DONE 0.0s\n\n#1 ${RUN}\n#1 0.050 two\n`);
  });

  it("keeps the output of a second step back while the first one talks, but not for ever", () => {
    const { clock, paper, start, log } = stage();
    start(RUN);
    start(COPY);
    for (let i = 0; i < 10; i++) {
      log(RUN, `run ${i}\n`);
      log(COPY, `copy ${i}\n`);
      clock.pass(100);
    }
    expect(paper.take()).not.toContain("copy");
    clock.pass(3000);
    expect(paper.text).toContain(`#1 ...\n\n#2 ${COPY}\n#2 0.000 copy 0\n`);
    expect(paper.text).toContain("copy 9\n");
    expect(clock.waiting).toBe(0);
  });

  it("gives the word away when its owner has been silent", () => {
    const { clock, paper, start, log } = stage();
    start(RUN);
    start(COPY);
    clock.pass(600);
    log(COPY, "hello\n");
    expect(paper.text).toBe(`#1 ${RUN}\n#1 ...\n\n#2 ${COPY}\n#2 0.600 hello\n`);
  });

  it("announces a silent step that began while another one had the word", () => {
    const { clock, paper, start } = stage();
    start(RUN);
    start(COPY);
    expect(paper.text).not.toContain(COPY);
    clock.pass(3000);
    expect(paper.text).toContain(`#2 ${COPY}\n`);
  });

  it("cuts output into lines at newlines and carriage returns, whatever the chunks", () => {
    const { paper, start, log, end } = stage();
    start(RUN);
    const bytes = Buffer.from("grüße\r\n10%\r20%\r\nlast");
    for (const byte of bytes) log(RUN, Uint8Array.of(byte));
    end(RUN);
    expect(paper.text.split("\n").slice(1, -1)).toEqual([
      "#1 0.000 grüße",
      "#1 0.000 10%",
      "#1 0.000 20%",
      "#1 0.000 last",
      "#1 DONE 0.0s",
    ]);
  });

  it("does not mix the bytes of standard output and standard error", () => {
    const { paper, start, log, end } = stage();
    start(RUN);
    log(RUN, "out ", 1);
    log(RUN, "err\n", 2);
    log(RUN, "put\n", 1);
    end(RUN);
    expect(paper.text).toContain("#1 0.000 err\n#1 0.000 out put\n");
  });

  it("shows a line without an end when it has stood for a while: it may be a question", () => {
    const { clock, paper, start, log } = stage();
    start(RUN);
    log(RUN, "Continue? [y/N] ");
    expect(paper.take()).toBe(`#1 ${RUN}\n`);
    clock.pass(3000);
    expect(paper.take()).toBe("#1 3.000 Continue? [y/N] \n");
    log(RUN, "no\n");
    expect(paper.text).toBe("#1 3.000 no\n");
  });

  it("shows dots that come one by one while a step goes on", () => {
    const { clock, paper, start, log } = stage();
    start(RUN);
    for (let i = 0; i < 8; i++) {
      log(RUN, ".");
      clock.pass(500);
    }
    expect(paper.text).toBe(`#1 ${RUN}\n#1 3.000 ......\n`);
  });

  it("shows a transfer when it begins, every twentieth of it, and when it is done", () => {
    const { clock, paper, start, transfer } = stage();
    const from = "[1/2] FROM docker.io/library/alpine";
    const began = clock.now();
    start(from);
    for (const percent of [0, 1, 2, 6, 7, 100]) {
      clock.pass(20);
      transfer(from, "sha256:abc", percent * 30_000, 3_000_000, began);
    }
    expect(paper.text.split("\n").slice(1, -1)).toEqual([
      "#1 sha256:abc 0B / 3.00MB 0.0s",
      "#1 sha256:abc 180.00kB / 3.00MB 0.1s",
      "#1 sha256:abc 3.00MB / 3.00MB 0.1s done",
    ]);
  });

  it("words a canceled step as scrapers expect it", () => {
    const { paper, start, end } = stage();
    start(RUN);
    end(RUN, { kind: "canceled" });
    expect(paper.text).toContain("#1 CANCELED\n");
  });

  it("ends a failed build with the step's last lines, the Dockerfile's lines and the error", () => {
    const { clock, paper, renderer, start, log, fail } = stage();
    start(RUN);
    clock.pass(500);
    log(RUN, "make: *** [all] Error 2\n");
    fail(RUN, "exit code: 2");
    paper.take();
    renderer.finish({
      kind: "failed",
      message: "process did not complete successfully: exit code: 2",
      source: { file: "Dockerfile", text: "FROM base\n\nRUN make\nCOPY . /src\n", startLine: 3, endLine: 3 },
    });
    expect(paper.text).toBe(
      [
        "------",
        " > [2/3] RUN make:",
        "0.500 make: *** [all] Error 2",
        "------",
        "Dockerfile:3",
        "--------------------",
        "   1 |     FROM base",
        "   2 |     ",
        "   3 | >>> RUN make",
        "   4 |     COPY . /src",
        "   5 |     ",
        "--------------------",
        "ERROR: process did not complete successfully: exit code: 2",
        "",
      ].join("\n"),
    );
  });

  it("keeps a bounded number of last lines of a step for its failure", () => {
    const { paper, renderer, start, log, fail } = stage();
    start(RUN);
    for (let i = 0; i < 1000; i++) log(RUN, `line ${i}\n`);
    fail(RUN, "exit code: 1");
    paper.take();
    renderer.finish({ kind: "failed", message: "x" });
    expect(paper.text.match(/line/g)?.length).toBe(30);
    expect(paper.text).toContain("line 999\n------");
  });

  it("shows of long lines of a failed step only the end, and says that their beginning is missing", () => {
    const { paper, renderer, start, end, log } = stage();
    start(RUN);
    log(RUN, `${"first ".repeat(9_000)}\n${"🚀".repeat(20_000)}\nlast\n`);
    end(RUN, { kind: "error", message: "no" });
    paper.take();
    renderer.finish({ kind: "failed", message: "no" });
    const rockets = "🚀".repeat((16 * 1024 - "last".length) / 2);
    expect(paper.text).toBe(`------\n > ${RUN}:\n0.000 …${rockets}\n0.000 last\n------\nERROR: no\n`);
  });

  it("lists warnings, briefly unless asked for more", () => {
    const warning = {
      rule: "JSONArgsRecommended",
      message: "JSON arguments recommended",
      description: "Because of signals.",
      url: "https://example.org/rule",
      file: "Dockerfile",
      startLine: 2,
      endLine: 2,
      text: "FROM base\nCMD echo hi\n",
    };
    const brief = stage();
    brief.renderer.emit({ type: "warning", vertex: undefined, warning });
    brief.renderer.finish(nothing);
    expect(brief.paper.text).toBe(
      "\n 1 warning found (use --debug to expand):\n - JSONArgsRecommended: JSON arguments recommended (line 2)\n",
    );
    const long = stage({ debug: true });
    long.renderer.emit({ type: "warning", vertex: undefined, warning });
    long.renderer.emit({ type: "warning", vertex: undefined, warning: { message: "cache not found" } });
    long.renderer.finish(nothing);
    expect(long.paper.text).toContain("\n 2 warnings found:\n");
    expect(long.paper.text).toContain("Because of signals.\nMore info: https://example.org/rule\nDockerfile:2\n");
    expect(long.paper.text).toContain("   2 | >>> CMD echo hi\n");
  });

  it("says what was built, where it went and how to run it", () => {
    const { paper, renderer } = stage();
    renderer.finish({
      kind: "built",
      image: { names: ["docker.io/library/app:latest"], digest: "sha256:aa", sizeBytes: 12_345_678 },
      places: [
        { kind: "loaded", program: "podman", name: "app" },
        { kind: "written", type: "oci", dest: "out.tar", sizeBytes: 1000 },
      ],
    });
    expect(paper.text).toBe(
      "\nBuilt docker.io/library/app:latest\n  sha256:aa  12.35MB\n" +
        "  loaded into podman; run it: podman run --rm app\n  wrote oci archive to out.tar (1.00kB)\n",
    );
  });

  it("writes what is held back when the build ends, and leaves no timer", () => {
    const { clock, paper, renderer, start, log } = stage();
    start(RUN);
    start(COPY);
    log(RUN, "a\n");
    log(COPY, "b");
    renderer.finish({ kind: "canceled", message: "canceled" });
    expect(paper.text).toContain(`#1 ...\n\n#2 ${COPY}\n#2 0.000 b\n`);
    expect(paper.text.endsWith("ERROR: canceled\n")).toBe(true);
    expect(clock.waiting).toBe(0);
    start(RUN);
    expect(paper.text.endsWith("ERROR: canceled\n")).toBe(true);
  });
});
