import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The package's version. The bundle lies one directory below package.json, this file two. */
export function readVersion(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url));
  for (let up = 0; up < 2; up++) {
    directory = path.dirname(directory);
    const file = path.join(directory, "package.json");
    if (fs.existsSync(file)) return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
  }
  return "unknown";
}
