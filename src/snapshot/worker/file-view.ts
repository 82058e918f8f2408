import fs from "node:fs";
import { getXattr, listXattrs } from "../../base/index.js";
import type { FileSource } from "../tree.js";
import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import { type Entry, isMissing, linkTarget, lstatEntry, namesIn, native } from "./file-entry.js";
import { fileError, naming } from "./file-errors.js";
import type { Lookup } from "./file-paths.js";
import { hashOpenFile } from "./file-read.js";
import { mountTree, unmountTree } from "./mounting.js";
import { scanOf } from "./scan-store.js";
import { ContextView } from "./scan-view.js";

/** Files to be read: a mounted tree or a build context. Paths are plain ones below its root. */
export interface FileView extends Lookup {
  lstat(path: BytePath): Entry | undefined;
  readLink(path: BytePath): BytePath;
  /** The names in a directory, in byte order. */
  list(path: BytePath): readonly BytePath[];
  /** The extended attributes that copies keep, by name. */
  xattrs(path: BytePath): readonly Xattr[];
  /** Opens a regular file for reading; the caller closes it. */
  open(path: BytePath): number;
  /** The sha256 of a regular file's content in hex. */
  sha256(path: BytePath): string;
  /** Whether what is read of a file can be checked, with `checkContent`. */
  knowsContent(path: BytePath): boolean;
  /** Throws `changed` where the sha256 of what was read is not what it should be. */
  checkContent(path: BytePath, readSha256: string): void;
}

export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Runs WORK with the source open for reading. */
export async function withSource<T>(
  source: FileSource,
  context: JobContext,
  work: (view: FileView) => T | Promise<T>,
): Promise<T> {
  if (source.kind === "context") return work(new ContextView(scanOf(source, context), context));
  const target = mountTree({ tree: source.tree }, context);
  try {
    return await work(new TreeView(target, context));
  } finally {
    unmountTree(target);
  }
}

/** A mounted tree. Nobody writes to it, so plain paths stay in it. */
export class TreeView implements FileView {
  readonly #prefix: BytePath;
  readonly #context: JobContext;

  constructor(root: string, context: JobContext) {
    this.#prefix = `${Buffer.from(root).toString("latin1")}/`;
    this.#context = context;
  }

  lstat(path: BytePath): Entry | undefined {
    try {
      return lstatEntry(this.#prefix + path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fileError("lstat", path, error);
    }
  }

  readLink(path: BytePath): BytePath {
    return naming("readlink", path, () => linkTarget(this.#prefix + path));
  }

  list(path: BytePath): readonly BytePath[] {
    return naming("open", path, () => namesIn(this.#prefix + path));
  }

  xattrs(path: BytePath): readonly Xattr[] {
    const at = native(this.#prefix + path);
    return naming("listxattr", path, () => {
      const kept = listXattrs(at).filter(isKeptXattr).sort();
      return kept.flatMap((name) => {
        const value = getXattr(at, name);
        return value === undefined ? [] : [{ name, value }];
      });
    });
  }

  open(path: BytePath): number {
    return naming("open", path, () => fs.openSync(native(this.#prefix + path), READ_FLAGS));
  }

  sha256(path: BytePath): string {
    const fd = this.open(path);
    try {
      return naming("read", path, () => hashOpenFile(fd, this.#context));
    } finally {
      fs.closeSync(fd);
    }
  }

  knowsContent(): boolean {
    return false;
  }

  checkContent(): void {}
}

const READ_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

/** Capabilities, ACLs and users' own attributes; not the labels of this machine's security modules. */
function isKeptXattr(name: string): boolean {
  return name === "security.capability" || !(name.startsWith("security.") || name.startsWith("trusted."));
}
