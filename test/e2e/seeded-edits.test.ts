import { afterAll, beforeAll, test } from "vitest";
import { closeSeeds, EDITS, openSeeds, seeded } from "./seeded-edits.js";

beforeAll(openSeeds);
afterAll(closeSeeds);

test.each(Object.keys(EDITS))("%s is the only cause among many builds that are unlike", (name) => seeded(name, 1));
