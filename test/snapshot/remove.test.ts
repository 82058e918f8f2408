import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { removeTree } from "../../src/snapshot/worker/remove.js";

it("directories nested deeper than a path can name are removed, with files of any name, and no link is followed", () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-remove-"));
  fs.mkdirSync(path.join(dir, "outside"));
  fs.writeFileSync(path.join(dir, "outside/kept"), "");
  const script = `
    mkdir -p tree/link && ln -s ../../outside tree/link/out && ln -s ../outside tree/out
    for name in $(printf '%0250d' 0) a $(printf 'x\\377'); do
      for at in tree tree/link; do
        (cd $at; i=0; while [ $i -lt 60 ]; do mkdir -p "$name" && cd -P "$name" && echo > "$(printf 'f\\n\\377')"; i=$((i+1)); done)
      done
    done`;
  execFileSync("/bin/bash", ["--norc", "-euc", script], {
    cwd: dir,
    env: { LC_ALL: "C", SHLVL: "1", PATH: process.env.PATH },
  });
  let count = 0;
  removeTree(path.join(dir, "tree"), () => count++);
  expect(fs.readdirSync(dir)).toEqual(["outside"]);
  expect(fs.readdirSync(path.join(dir, "outside"))).toEqual(["kept"]);
  expect(count).toBeGreaterThan(2 * 3 * 60 * 2);
  removeTree(path.join(dir, "tree"));
  fs.writeFileSync(path.join(dir, "file"), "");
  removeTree(path.join(dir, "file"));
  expect(fs.readdirSync(dir)).toEqual(["outside"]);
  fs.rmSync(dir, { recursive: true });
});
