import type { FileStep } from "../../llb/index.js";

type Copy = Extract<FileStep["action"], { kind: "copy" }>;

/** A copy of what is named, and nothing more but what OPTIONS say. */
export function copyAction(options: Pick<Copy, "src" | "dest"> & Partial<Copy>): Copy {
  // Written out, as a file may have thousands of copies: objects put together of others take many times as long to make.
  return {
    kind: "copy",
    followSymlink: options.followSymlink ?? false,
    dirCopyContents: options.dirCopyContents ?? false,
    attemptUnpack: options.attemptUnpack ?? false,
    createDestPath: options.createDestPath ?? true,
    allowWildcard: options.allowWildcard ?? false,
    allowEmptyWildcard: options.allowEmptyWildcard ?? false,
    timestamp: -1,
    alwaysReplaceExistingDestPaths: false,
    dest: options.dest,
    mode: options.mode,
    modeStr: options.modeStr,
    excludePatterns: options.excludePatterns,
    src: options.src,
    includePatterns: options.includePatterns,
    requiredPaths: options.requiredPaths,
  };
}
