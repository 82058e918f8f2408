import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import { entriesIn, inodeKey } from "./layer-stat.js";

/** How much a layer holds. */
export interface LayerSummary {
  /** What it takes on disk, each file once whatever its names. */
  readonly sizeBytes: number;
  readonly entries: number;
}

/** Walks a layer's directory. */
export function measure(directory: BytePath, context: JobContext): LayerSummary {
  let sizeBytes = 0;
  let entries = 0;
  const counted = new Set<string>();
  const visit = (path: BytePath): void => {
    context.checkCanceled();
    for (const entry of entriesIn(path)) {
      entries++;
      if (entry.stat.kind === "directory") visit(entry.path);
      else if (entry.stat.nlink > 1) {
        const key = inodeKey(entry.stat);
        if (counted.has(key)) continue;
        counted.add(key);
      }
      sizeBytes += entry.stat.allocatedBytes;
    }
  };
  visit(directory);
  return { sizeBytes, entries };
}
