import { spawnSync } from "node:child_process";

/** Tests that need the worker or the CLI use the built bundles, so they are built once before any test, unless scripts/test.mjs has done so. */
export default function setup(): void {
  if (process.env.ASHLAR_TEST_BUILT !== undefined) return;
  const { status } = spawnSync(process.execPath, ["scripts/build.mjs", "--no-types"], {
    stdio: process.env.CI ? "inherit" : "ignore",
  });
  if (status !== 0) console.error("the bundles could not be built: tests that need them will fail");
}
