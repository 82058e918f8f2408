import type { FileSource, Tree, Workspace } from "./tree.js";

/**
 * One change of files, as the op graph's file op has it (BuildKit's solver/pb/ops.proto, FileAction). Names and paths are UTF-8 text.
 * Times are seconds since the epoch, -1 leaves them.
 */
export type FileAction = CopyAction | MkfileAction | MkdirAction | RmAction | SymlinkAction;

/** What `applyFileAction` is asked. The layer of the workspace takes the change; on an error it holds part of it and is thrown away. */
export interface FileActionRequest {
  readonly workspace: Workspace;
  readonly action: FileAction;
  /** Where copy reads from; absent is an empty file system. */
  readonly source?: FileSource | undefined;
  /** Where an owner's names are looked up: /etc/passwd of the one, /etc/group of the other. */
  readonly users?: Tree | undefined;
  readonly groups?: Tree | undefined;
}

export interface CopyAction {
  readonly kind: "copy";
  readonly src: string;
  readonly dest: string;
  readonly owner?: Owner;
  /** Octal permission bits (setuid, setgid and sticky too) for files and directories alike. */
  readonly mode?: number;
  /** Symbolic mode (`u=rwX,go=rX`); wins over `mode`. */
  readonly modeStr?: string;
  readonly followSymlink: boolean;
  /** A directory source gives its contents, not itself. */
  readonly dirCopyContents: boolean;
  /** Unpack the source where it is an archive. */
  readonly attemptUnpack: boolean;
  readonly createDestPath: boolean;
  readonly allowWildcard: boolean;
  readonly allowEmptyWildcard: boolean;
  readonly timestamp: number;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly requiredPaths?: readonly string[];
  /** Replace what stands at the destination whatever its type. */
  readonly alwaysReplaceExistingDestPaths: boolean;
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

export interface MkfileAction {
  readonly kind: "mkfile";
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
  readonly owner?: Owner;
  readonly timestamp: number;
}

export interface MkdirAction {
  readonly kind: "mkdir";
  readonly path: string;
  readonly mode: number;
  readonly makeParents: boolean;
  readonly owner?: Owner;
  readonly timestamp: number;
}

export interface RmAction {
  readonly kind: "rm";
  readonly path: string;
  readonly allowNotFound: boolean;
  readonly allowWildcard: boolean;
}

export interface SymlinkAction {
  readonly kind: "symlink";
  readonly oldPath: string;
  readonly newPath: string;
  readonly owner?: Owner;
  readonly timestamp: number;
}

/** A missing group means the user's own: by name from /etc/passwd, by number the same number. */
export interface Owner {
  readonly user?: OwnerName;
  readonly group?: OwnerName;
}

/** INPUT says in the op graph which tree the name is looked up in; here that tree comes with the request. */
export type OwnerName =
  | { readonly kind: "id"; readonly id: number }
  | { readonly kind: "name"; readonly name: string; readonly input: number };
