import fs from "node:fs";
import path from "node:path";
import { unlessGone } from "../base/index.js";

/** What a file or directory itself takes on disk, in bytes; 0 where nothing can be seen. */
export function bytesOnDisk(file: string): number {
  return (look(file)?.blocks ?? 0) * BLOCK_BYTES;
}

/**
 * What FILE and everything below it takes, each file once whatever its names. Without LINKED, files that have other names are left out:
 * they are somebody else's.
 */
export function bytesOnDiskBelow(file: string, { linked = true }: { readonly linked?: boolean } = {}): number {
  const counted = new Set<number>();
  const visit = (at: string): number => {
    const stat = look(at);
    if (!stat) return 0;
    if (stat.isDirectory()) return stat.blocks * BLOCK_BYTES + below(at).reduce((sum, each) => sum + visit(each), 0);
    if (stat.nlink > 1 && (!linked || counted.has(stat.ino))) return 0;
    counted.add(stat.ino);
    return stat.blocks * BLOCK_BYTES;
  };
  return visit(file);
}

/** What lies in a directory; nothing where that can't be seen. */
export function namesIn(directory: string): string[] {
  return unlessGone(() => fs.readdirSync(directory)) ?? [];
}

/** The unit of `st_blocks`. */
const BLOCK_BYTES = 512;

function look(file: string): fs.Stats | undefined {
  return unlessGone(() => fs.lstatSync(file, { throwIfNoEntry: false }));
}

function below(directory: string): string[] {
  return namesIn(directory).map((name) => path.join(directory, name));
}
