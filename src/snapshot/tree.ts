/** A layer directory by its number: `<root>/layers/<id>/fs`. Short, so that 400 of them fit into one mount(2) call. */
export type LayerId = number;

/**
 * A file system as layers, bottom first; empty is an empty file system. Layers are immutable once committed: an upper directory in
 * overlayfs form (whiteouts are char devices 0:0, or marked files where those are refused; no opaque directory in layers we made, they
 * are explicit whiteouts there).
 */
export type Tree = readonly LayerId[];

/** Layers of a tree that can be stacked: the kernel's overlay file system takes no more (Linux, OVL_MAX_STACK). */
export const TREE_LAYERS_MAX = 500;

/** A new layer being made on top of a tree. Its id becomes the layer's at commit. */
export interface Workspace {
  readonly layer: LayerId;
  readonly parents: Tree;
}

/**
 * Something files are read from: a tree, or a directory of the caller's (a build context), seen as owned by root, without
 * extended attributes and without what EXCLUDES (patterns of .dockerignore) leave out.
 */
export type FileSource =
  | { readonly kind: "tree"; readonly tree: Tree }
  | {
      readonly kind: "context";
      readonly directory: string;
      readonly excludes: readonly string[];
      /** Names the scan within this process: jobs with the same id share it. */
      readonly scanId: string;
    };
