import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { createExecutor, sandboxRunner } from "../../src/executor/index.js";
import { executorSuite } from "../suites/executor.js";
import { buildSandbox } from "./bundles.js";
import { directSpawner } from "./ground.js";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-sandbox-"));
const entry = buildSandbox(directory);
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
