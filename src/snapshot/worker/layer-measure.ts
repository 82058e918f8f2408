import { createHash } from "node:crypto";
import { type Digest, digestFromHex } from "../../base/index.js";
import { stampOf } from "../layer-stamp.js";
import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import { entriesIn, type FileStat, inodeKey, namesIn, statOf } from "./layer-stat.js";

/** How much a layer holds, and what it looks like. */
export interface LayerSummary {
  /** What it takes on disk, each file once whatever its names. */
  readonly sizeBytes: number;
  readonly entries: number;
  /** What one look at its root tells (`stampOf`). */
  readonly stamp: string;
  /** Of the names, kinds, modes, owners, sizes and times of all that it holds. */
  readonly shape: Digest;
}

/** Walks a layer's directory. */
export function measure(directory: BytePath, context: JobContext): LayerSummary {
  let sizeBytes = 0;
  let entries = 0;
  const counted = new Set<string>();
  const shape = createHash("sha256");
  const visit = (path: BytePath, prefix: BytePath): void => {
    context.checkCanceled();
    for (const { name, path: at, stat } of entriesIn(path)) {
      entries++;
      shape.update(`${prefix}${name}\0${looks(stat)}\n`, "latin1");
      if (stat.kind === "directory") visit(at, `${prefix}${name}/`);
      else if (stat.nlink > 1) {
        const key = inodeKey(stat);
        if (counted.has(key)) continue;
        counted.add(key);
      }
      sizeBytes += stat.allocatedBytes;
    }
  };
  visit(directory, "");
  const stamp = stampOf(statOf(directory)?.mtimeNs ?? 0n, namesIn(directory).length);
  return { sizeBytes, entries, stamp, shape: digestFromHex(shape.digest("hex")) };
}

function looks({ kind, mode, uid, gid, sizeBytes, mtimeNs, rdev }: FileStat): string {
  if (kind === "whiteout") return kind;
  // What a directory's own size is depends on the file system, and on what was there before.
  const size = kind === "directory" ? 0 : sizeBytes;
  return `${kind} ${mode} ${uid} ${gid} ${size} ${mtimeNs} ${rdev}`;
}
