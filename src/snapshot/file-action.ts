import type { CopyAction, FileChange } from "../base/index.js";
import type { FileSource, Tree, Workspace } from "./tree.js";

/** What `applyFileAction` is asked. The layer of the workspace takes the change; on an error it holds part of it and is thrown away. */
export interface FileActionRequest {
  readonly workspace: Workspace;
  readonly action: FileChange;
  /** Where copy reads from; absent is an empty file system. */
  readonly source?: FileSource | undefined;
  /** Where an owner's names are looked up: /etc/passwd of the one, /etc/group of the other. */
  readonly users?: Tree | undefined;
  readonly groups?: Tree | undefined;
}

/** Copies what SRC names to the root as it is: a directory gives its contents, and nothing is unpacked. */
export function plainCopy(src: string): CopyAction {
  return {
    kind: "copy",
    src,
    dest: "/",
    followSymlink: false,
    dirCopyContents: true,
    attemptUnpack: false,
    createDestPath: true,
    allowWildcard: false,
    allowEmptyWildcard: false,
    timestamp: -1,
    alwaysReplaceExistingDestPaths: false,
  };
}
