import { afterAll, beforeAll, test } from "vitest";
import { buildUnedited, closeSeeds, EDITS, openSeeds, seeded } from "./seeded-edits.js";

beforeAll(openSeeds);
afterAll(closeSeeds);

const names = Object.keys(EDITS).filter((name) => !EDITS[name]?.once);

test.each(names)("%s is the only cause among many builds that are unlike", (name) => seeded(name, 1));

test.each(names.toReversed())("%s is the only cause when it is edited again", async (name) => {
  await buildUnedited();
  await seeded(name, 2);
});
