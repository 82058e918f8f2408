import type { Digest } from "../base/index.js";
import type { ContentTree } from "./content-tree.js";
import type { FileSource } from "./tree.js";

/** Which part of a source is meant, by the rules of COPY. Paths are UTF-8 text, taken from the source's root. */
export interface Selector {
  readonly path: string;
  /** Follow a link at the end of the path, and each link that a wildcard matches; links above it are always followed. */
  readonly followSymlink: boolean;
  /** The path may hold the wildcards of Go's `filepath.Match`. */
  readonly wildcard: boolean;
  /** A wildcard may match nothing. */
  readonly allowEmptyWildcard: boolean;
  /** Patterns as of `.dockerignore`, relative to the selected path. */
  readonly includes: readonly string[];
  readonly excludes: readonly string[];
  /** Paths from the root of which something must have been selected. */
  readonly required: readonly string[];
  /** Leave permission bits out, for a copy that sets them. */
  readonly ignoreMode?: boolean;
  /** What a copy makes of permission bits, as chmod(1) writes it (`u=rwX,go=`): what comes of them counts. */
  readonly modeChange?: string;
  /** Leave uid and gid out, for a copy that sets them. */
  readonly ignoreOwner?: boolean;
}

export interface ContentDigestRequest {
  readonly source: FileSource;
  readonly selector: Selector;
  /** Tell the selection entry by entry, too. */
  readonly withTree?: boolean;
}

/** The digest of what a copy of a selection would see, and how much that is. */
export interface ContentDigest {
  readonly digest: Digest;
  /** Entries of every kind. */
  readonly entries: number;
  /** Bytes of regular files. */
  readonly bytes: number;
  /** Links that the path led through, and where they lead; absent where there are none. One character per byte. */
  readonly links?: readonly (readonly [link: string, target: string])[];
  /** Where it was asked for. */
  readonly tree?: ContentTree;
}
