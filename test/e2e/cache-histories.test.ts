import { test } from "vitest";
import { cacheHistories } from "./cache-histories.js";

test("over random Dockerfiles and edits: a build with a cache is one without, and nothing runs twice", async () => {
  await cacheHistories(4);
});
