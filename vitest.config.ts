import os from "node:os";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/longest-first.js";

const E2E = "test/e2e/**/*.test.ts";
/** Tests that take minutes: `npm run test:deep`. */
const DEEP = "test/**/*.deep.test.ts";
/** Tests that are short, but for a part that only ASHLAR_TEST_DEEP asks for. */
const DEEPER = "test/executor/kill.test.ts";
const BASE_IMAGE = ["test/global-setup.ts", "test/e2e/setup.ts"];
const DEEP_OPTIONS = { globalSetup: BASE_IMAGE, testTimeout: 900_000, env: { ASHLAR_TEST_DEEP: "1" } };

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // vitest by itself leaves a core idle, which on two is half of them; and tests wait for processes now and then.
    maxWorkers: os.availableParallelism() + 1,
    // No test changes anything of its process that another could see, and loading all modules anew for each file takes a third of the time.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    globalSetup: ["test/global-setup.ts"],
    projects: [
      { extends: true, test: { name: "unit", include: ["test/**/*.test.ts"], exclude: [E2E, DEEP] } },
      { extends: true, test: { name: "e2e", include: [E2E], exclude: [DEEP], globalSetup: BASE_IMAGE } },
      { extends: true, test: { name: "deep", include: [DEEP, DEEPER], ...DEEP_OPTIONS } },
    ],
  },
});
