import fs from "node:fs";
import path from "node:path";
import { EngineError, systemCode } from "../base/index.js";
import type { StateDirs } from "../snapshot/index.js";

/** Throws `invalid` where something else is in the place of the state directory, of a directory in it, or of its database. */
export function refuseObstacles({ database, ...directories }: StateDirs): void {
  const { root, layers, blobs } = directories;
  const inside = [path.join(root, "ingest"), path.join(layers, "empty"), path.join(blobs, "sha256")];
  for (const each of [...Object.values(directories), ...inside]) refuse(root, each, "directory");
  refuse(root, database, "file");
}

function refuse(root: string, place: string, wanted: "directory" | "file"): void {
  const found = kindOf(place);
  if (found === undefined || found === wanted) return;
  const elsewhere = "name another place with --root or ASHLAR_ROOT";
  const where = place === root ? "it" : place;
  throw new EngineError("invalid", `the state directory ${root} can't be used: ${where} ${sentenceOf(found, wanted)}`, {
    hint: place === root ? elsewhere : `remove ${place}, or ${elsewhere}`,
  });
}

type Kind = "directory" | "file" | "other" | "dangling link" | "below a file";

function sentenceOf(found: Kind, wanted: "directory" | "file"): string {
  switch (found) {
    case "dangling link":
      return "is a link that leads nowhere";
    case "below a file":
      return "is below something that is no directory";
    default:
      return wanted === "directory" ? "is no directory" : "is no file";
  }
}

/** Undefined where nothing is there, or nothing can be seen: whoever needs it says so. */
function kindOf(place: string): Kind | undefined {
  try {
    const found = fs.statSync(place, { throwIfNoEntry: false });
    if (found) return found.isDirectory() ? "directory" : found.isFile() ? "file" : "other";
    // Another process may have made it since.
    return fs.lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() ? "dangling link" : undefined;
  } catch (error) {
    if (systemCode(error) === "ELOOP") return "dangling link";
    return systemCode(error) === "ENOTDIR" ? "below a file" : undefined;
  }
}
