import fs from "node:fs";
import type { LayerId } from "../tree.js";
import type { BytePath } from "./bytes.js";

/**
 * Names that are in a layer only because another name of the same file is new: unchanged themselves, they are there to stay linked.
 * An exported layer lists them after the name that is new, as links to it. They are kept beside the layer's directory.
 */
export function writeUnchangedNames(layer: LayerId, names: readonly BytePath[]): void {
  const file = `${layer}/${UNCHANGED_FILE}`;
  if (names.length > 0) fs.writeFileSync(file, JSON.stringify([...names].sort()));
  else fs.rmSync(file, { force: true });
}

/** The names written by `writeUnchangedNames`. */
export function readUnchangedNames(layer: LayerId): ReadonlySet<BytePath> {
  const file = `${layer}/${UNCHANGED_FILE}`;
  if (!fs.existsSync(file)) return new Set();
  return new Set(JSON.parse(fs.readFileSync(file, "utf8")) as BytePath[]);
}

const UNCHANGED_FILE = "unchanged.json";
