import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { removeResultFile, writeResultFile } from "../../src/cli/write-file.js";

let home: string;
const at = (name: string) => path.join(home, name);

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-results-"));
  return () => fs.rmSync(home, { recursive: true });
});

test("the result of an earlier run is removed, and what is no regular file never", () => {
  removeResultFile(at("none"));
  fs.writeFileSync(at("id"), "old");
  removeResultFile(at("id"));
  expect(fs.existsSync(at("id"))).toBe(false);
  execFileSync("mkfifo", [at("pipe")]);
  fs.writeFileSync(at("said"), "so far");
  fs.symlinkSync("said", at("stdout"));
  for (const name of ["pipe", "stdout"]) removeResultFile(at(name));
  expect(fs.readdirSync(home).sort()).toEqual(["pipe", "said", "stdout"]);
});

test("a result takes the place of a file behind a link", () => {
  fs.writeFileSync(at("file"), "old", { mode: 0o600 });
  fs.symlinkSync("file", at("link"));
  writeResultFile(at("link"), "new");
  expect(fs.readFileSync(at("file"), "utf8")).toBe("new");
  expect(fs.statSync(at("file")).mode & 0o777).toBe(0o600);
  expect(() => writeResultFile(at("none/file"), "new")).toThrow(`there is no directory ${at("none")} to write file to`);
});
