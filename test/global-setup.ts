import { execFileSync } from "node:child_process";

/** Tests that need the worker or the CLI use the built bundles, so they are built once before any test. */
export default function setup(): void {
  execFileSync(process.execPath, ["scripts/build.mjs", "--no-types"], { stdio: "inherit" });
}
