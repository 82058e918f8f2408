/** A copy of what is named, and nothing more. */
export const PLAIN_COPY = {
  kind: "copy",
  followSymlink: false,
  dirCopyContents: false,
  attemptUnpack: false,
  createDestPath: true,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1,
  alwaysReplaceExistingDestPaths: false,
} as const;
