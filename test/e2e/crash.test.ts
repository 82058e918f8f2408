import { test } from "vitest";
import { crashRounds } from "./crash-rounds.js";

/** A few points that chance has chosen; the deep tests have hundreds of others. */
const ROUNDS = { count: 6, seed: 5 } as const;

test("what is killed at any moment, or loses its disk, leaves nothing that lies, and nothing behind", async () => {
  await crashRounds(ROUNDS);
}, 180_000);
