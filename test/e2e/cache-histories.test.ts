import { test } from "vitest";
import { cacheHistories } from "./cache-histories.js";

/** Some forty builds, on a machine that may have others to run. */
const TIMEOUT_MS = 120_000;

test(
  "over random Dockerfiles and edits: a build with a cache is one without, and nothing runs twice",
  async () => {
    await cacheHistories(4);
  },
  TIMEOUT_MS,
);
