import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { findExecutable, searchDirectories } from "../../src/base/index.js";

it("finds the first file of a name that can be run, and no directory", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-programs-"));
  const directories = ["a", "b", "c", "missing"].map((name) => path.join(root, name));
  for (const directory of directories.slice(0, 3)) fs.mkdirSync(directory);
  fs.mkdirSync(path.join(root, "a/tool"));
  fs.writeFileSync(path.join(root, "b/tool"), "", { mode: 0o644 });
  fs.writeFileSync(path.join(root, "c/tool"), "", { mode: 0o755 });
  expect(findExecutable("tool", directories)).toBe(path.join(root, "c/tool"));
  expect(findExecutable("other", directories)).toBeUndefined();
  fs.rmSync(root, { recursive: true });
});

it("searches absolute directories only", () => {
  expect(searchDirectories("/usr/bin::.:bin:/bin")).toEqual(["/usr/bin", "/bin"]);
  expect(searchDirectories("")).toEqual([]);
});
