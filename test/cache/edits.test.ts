import { expect, test } from "vitest";
import type { FileDifference } from "../../src/base/index.js";
import { editsIn } from "../../src/cache/history/edits.js";

const file = (path: string, change: FileDifference) => ({ cause: { kind: "file" as const, path, change } });

test("a directory in place of a file is one edit, whatever it holds", () => {
  const causes = [
    file("d/x", { kind: "type", from: "file", to: "dir" }),
    file("d/x/z", { kind: "added" }),
    file("d/x/y/z", { kind: "added" }),
  ];
  expect(editsIn(causes)).toBe(1);
  expect(editsIn(causes.slice(1))).toBe(2);
});

test("files side by side, and of one path in two contexts, are edits of their own", () => {
  const { cause } = file("d/x", { kind: "content" });
  expect(editsIn([{ cause }, file("d/xy", { kind: "content" })])).toBe(2);
  expect(editsIn([{ cause: { ...cause, context: "extra" } }, file("d/x/z", { kind: "added" })])).toBe(2);
});
