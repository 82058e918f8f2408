import { describe, expect, it } from "vitest";
import { failureOf } from "../../src/cli/failure.js";
import { BuildFailure } from "../../src/engine/index.js";

const TEXT = "FROM a\nRNU b\nCOPY --lnk c d\n";

function failure(): BuildFailure {
  const source = { file: "Dockerfile", text: TEXT, startLine: 2, endLine: 2 };
  const at = (startLine: number) => ({ severity: "error" as const, file: "Dockerfile", startLine, endLine: startLine });
  const culprit = { start: { line: 3, character: 5 }, end: { line: 3, character: 10 } };
  const diagnostics = [
    { ...at(2), message: "first" },
    { ...at(3), message: "second", hint: "do it", culprit },
    { severity: "error" as const, message: "of no place" },
    { ...at(3), file: "another", message: "of another file" },
  ];
  return new BuildFailure("invalid", "first", { source, diagnostics });
}

describe("a build that was refused", () => {
  it("is told with every mistake of the Dockerfile, each at its place", () => {
    const told = failureOf(failure(), false);
    expect(told).toMatchObject({ kind: "failed", message: "first", source: { startLine: 2 } });
    expect(told.kind === "failed" && told.further).toEqual([
      {
        message: "second",
        hint: "do it",
        source: {
          file: "Dockerfile",
          text: TEXT,
          startLine: 3,
          endLine: 3,
          culprit: { start: { line: 3, character: 5 }, end: { line: 3, character: 10 } },
        },
      },
    ]);
  });

  it("says how many mistakes were not listed, as no mistake itself", () => {
    const { source, diagnostics } = failure();
    const omitted = {
      severity: "error" as const,
      file: "Dockerfile",
      startLine: 3,
      message: "2000 more",
      omitted: 2000,
    };
    const told = failureOf(
      new BuildFailure("invalid", "first", { source, diagnostics: [...diagnostics, omitted] }),
      false,
    );
    expect(told).toMatchObject({ further: [{ message: "second" }], omitted: 2000 });
  });

  it("has no more than its own words where it is no mistake of a file", () => {
    expect(failureOf(new Error("broken"), false)).toMatchObject({ message: "broken", further: [] });
    expect(failureOf(undefined, false)).toMatchObject({ kind: "failed", further: [] });
  });
});
