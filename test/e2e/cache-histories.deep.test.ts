import { test } from "vitest";
import { cacheHistories } from "./cache-histories.js";

const HISTORIES = 200;
const LIMIT_MS = 60 * 60_000;

test(
  "over many random Dockerfiles and edits: a build with a cache is one without, and nothing runs twice",
  async () => {
    await cacheHistories(HISTORIES);
  },
  LIMIT_MS,
);
