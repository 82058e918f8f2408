import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { makeDirectories } from "../../src/base/index.js";

let home: string;

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-directories-"));
  return () => fs.rmSync(home, { recursive: true });
});

test("what is missing is made, and the first of it told", () => {
  expect(makeDirectories(path.join(home, "a/b/c"), 0o700)).toBe(path.join(home, "a"));
  expect(fs.statSync(path.join(home, "a/b")).mode & 0o777).toBe(0o700);
  expect(makeDirectories(path.join(home, "a/b/d"))).toBe(path.join(home, "a/b/d"));
  expect(makeDirectories(path.join(home, "a"))).toBeUndefined();
  fs.symlinkSync("a", path.join(home, "link"));
  expect(makeDirectories(path.join(home, "link"))).toBeUndefined();
});

test("where nothing can be made, that is an error, and no endless try", () => {
  fs.writeFileSync(path.join(home, "file"), "");
  fs.symlinkSync("nowhere", path.join(home, "dangling"));
  expect(() => makeDirectories("/proc/ashlar/deep")).toThrow(/ENOENT|EACCES|EPERM/);
  expect(() => makeDirectories(path.join(home, "file"))).toThrow("EEXIST");
  expect(() => makeDirectories(path.join(home, "file/deep"))).toThrow("ENOTDIR");
  expect(() => makeDirectories(path.join(home, "dangling/deep"))).toThrow("EEXIST");
  expect(() => makeDirectories(path.join(home, "dangling"))).toThrow("EEXIST");
});
