import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** Makes the base image once, before any test asks for it. */
export default function setup(): void {
  const conformance = path.resolve(import.meta.dirname, "../conformance");
  const layout = path.join(conformance, ".base");
  if (fs.existsSync(path.join(layout, "index.json"))) return;
  execFileSync(path.join(conformance, "make-base.sh"), [layout], { stdio: ["ignore", "ignore", "inherit"] });
}
