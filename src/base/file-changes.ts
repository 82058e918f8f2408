/**
 * One change of files: what a file op of a graph is made of, and what the data plane applies (BuildKit's solver/pb/ops.proto, FileAction).
 * Names and paths are UTF-8 text. Times are seconds since the epoch, -1 leaves them.
 */
export type FileChange = CopyAction | MkfileAction | MkdirAction | RmAction | SymlinkAction;

export interface CopyAction {
  readonly kind: "copy";
  readonly src: string;
  readonly dest: string;
  readonly owner?: Chown;
  /** Octal permission bits (setuid, setgid and sticky too) for files and directories alike. */
  readonly mode?: number | undefined;
  /** Symbolic mode (`u=rwX,go=rX`); wins over `mode`. */
  readonly modeStr?: string | undefined;
  readonly followSymlink: boolean;
  /** A directory source gives its contents, not itself. */
  readonly dirCopyContents: boolean;
  /** Unpack the source where it is an archive (ADD). */
  readonly attemptUnpack: boolean;
  readonly createDestPath: boolean;
  readonly allowWildcard: boolean;
  readonly allowEmptyWildcard: boolean;
  readonly timestamp: number;
  readonly includePatterns?: readonly string[] | undefined;
  readonly excludePatterns?: readonly string[] | undefined;
  /** Paths from the root of which something must have been selected. */
  readonly requiredPaths?: readonly string[] | undefined;
  /** Replace what stands at the destination whatever its type. */
  readonly alwaysReplaceExistingDestPaths: boolean;
}

export interface MkfileAction {
  readonly kind: "mkfile";
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
  readonly owner?: Chown;
  readonly timestamp: number;
}

export interface MkdirAction {
  readonly kind: "mkdir";
  readonly path: string;
  readonly mode: number;
  readonly makeParents: boolean;
  readonly owner?: Chown;
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
  readonly owner?: Chown;
  readonly timestamp: number;
}

/** A missing group means the user's own: by name from /etc/passwd, by number the same number. */
export interface Chown {
  readonly user?: UserName;
  readonly group?: UserName;
}

/** A numeric id, or a name to be looked up in /etc/passwd or /etc/group of what the op's input INPUT gives. */
export type UserName =
  | { readonly kind: "id"; readonly id: number }
  | { readonly kind: "name"; readonly name: string; readonly input: number };
