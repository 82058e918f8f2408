import fs from "node:fs";
import { createPatternMatcher, EngineError } from "../../base/index.js";
import type { FileSource } from "../tree.js";
import type { JobContext } from "./context.js";
import { ContextManifest } from "./scan-manifest.js";
import { ContextScan } from "./scan-tree.js";

export type ContextSource = Extract<FileSource, { readonly kind: "context" }>;

/** Scans by id, then by directory and patterns: a build's jobs on one thread share them until `forgetScans`. */
const scans = new Map<string, Map<string, ContextScan>>();

/** The scan of a context, begun if it is the first time somebody asks. */
export function scanOf(source: ContextSource, context: JobContext): ContextScan {
  const ofBuild = scans.get(source.scanId) ?? new Map<string, ContextScan>();
  scans.set(source.scanId, ofBuild);
  const key = keyOf(source);
  const known = ofBuild.get(key);
  if (known) return known;
  const result = createPatternMatcher(source.excludes);
  if (!result.ok) throw new EngineError("invalid", result.error);
  const scan = new ContextScan(
    source.directory,
    result.matcher,
    ContextManifest.load(context.dirs, realDirectory(source.directory)),
    fs.statSync(context.dirs.root, { bigint: true, throwIfNoEntry: false }),
  );
  ofBuild.set(key, scan);
  return scan;
}

/** Ends the scans of a build: what is asked next under this id is looked at anew. */
export function forgetScans(scanId: string): void {
  for (const scan of scans.get(scanId)?.values() ?? []) scan[Symbol.dispose]();
  scans.delete(scanId);
}

function realDirectory(directory: string): string {
  try {
    return fs.realpathSync.native(directory);
  } catch {
    return directory;
  }
}

/** Keeps what the scans of a context have learned for the next build. */
export function saveScan(source: ContextSource): void {
  scans.get(source.scanId)?.get(keyOf(source))?.save();
}

function keyOf({ directory, excludes }: ContextSource): string {
  return JSON.stringify([directory, excludes]);
}
