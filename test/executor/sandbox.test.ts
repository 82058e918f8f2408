import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { buildSync } from "esbuild";
import { afterAll } from "vitest";
import { createExecutor, sandboxRunner } from "../../src/executor/index.js";
import { executorSuite } from "../suites/executor.js";
import { directSpawner } from "./ground.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-sandbox-"));
const entry = path.join(directory, "sandbox.cjs");
buildSync({
  entryPoints: ["src/executor/sandbox/main.ts"],
  outfile: entry,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["koffi"],
  banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { "import.meta.url": "__moduleUrl" },
});
fs.symlinkSync(path.resolve("node_modules"), path.join(directory, "node_modules"));
afterAll(() => fs.rmSync(directory, { recursive: true }));

let owners = 0;
executorSuite(
  "an executor on the built-in sandbox",
  ({ dirs }) =>
    createExecutor({
      spawner: directSpawner,
      dirs,
      owner: `test-sandbox-${process.pid}-${owners++}`,
      runner: sandboxRunner({ node: process.execPath, entry }, process.arch),
      searchPath: "",
    }),
  { cgroups: false },
);
