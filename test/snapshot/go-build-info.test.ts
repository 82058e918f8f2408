import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { readGoBuildInfo } from "../../src/snapshot/worker/go-build-info.js";

/** A program of Go's that every checkout has: TypeScript's compiler. */
const load = createRequire(createRequire(import.meta.url).resolve("typescript/package.json"));
const PROGRAM = path.join(
  path.dirname(load.resolve(`@typescript/typescript-${os.platform()}-${os.arch()}/package.json`)),
  "lib/tsc",
);

function infoOf(file: string): string | undefined {
  const fd = fs.openSync(file, "r");
  try {
    return readGoBuildInfo(fd)?.toString("utf8");
  } finally {
    fs.closeSync(fd);
  }
}

it("a program of Go's says what it was made of; others say nothing", () => {
  const lines = infoOf(PROGRAM)?.split("\n") ?? [];
  expect(lines[0]).toBe("path\tgithub.com/microsoft/typescript-go/cmd/tsgo");
  expect(lines.some((line) => line.startsWith("dep\tgolang.org/x/sys\tv0."))).toBe(true);
  expect(infoOf(process.execPath)).toBeUndefined();
  expect(infoOf(import.meta.filename)).toBeUndefined();
});

it("a damaged program keeps nobody", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-go-"));
  try {
    const start = Buffer.alloc(4096);
    const fd = fs.openSync(PROGRAM, "r");
    fs.readSync(fd, start, 0, start.length, 0);
    fs.closeSync(fd);
    const file = path.join(directory, "program");
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 20 }), (changes) => {
        const bytes = Buffer.from(start);
        for (const [at, value] of changes) bytes[at] = value;
        fs.writeFileSync(file, bytes);
        expect(infoOf(file)).toBeUndefined();
      }),
    );
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
