import fs from "node:fs";
import { makeNode, S_IFCHR, S_IFIFO, setXattr } from "../../base/index.js";
import { type BytePath, toBuffer } from "./bytes.js";
import { type Entry, linkTarget, lstatEntry, namesIn, native } from "./file-entry.js";
import { fileError, naming, refused } from "./file-errors.js";
import { type Lookup, parentOf, resolvePath } from "./file-paths.js";
import type { Xattr } from "./file-view.js";
import { NOTE_XATTR } from "./owner-note.js";
import { chown, makeDeviceNode, setTimes } from "./ownership.js";
import { removeTree } from "./remove.js";

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** What is asked of directories made on the way to something. */
export interface NewDirectories {
  readonly mode: number;
  readonly owner?: Ids | undefined;
  readonly timeNs?: bigint | undefined;
}

/**
 * The mounted tree that is being changed. Nobody else writes to it meanwhile, so a plain path, which leads through no link, stays in
 * it. Errors name the path and the call.
 */
export class Target implements Lookup {
  readonly #prefix: BytePath;

  /** ROOT is the mount's path on the host. */
  constructor(root: string) {
    this.#prefix = `${Buffer.from(root).toString("latin1")}/`;
  }

  /** The path on the host. */
  at(path: BytePath): BytePath {
    return this.#prefix + path;
  }

  /** The plain path that PATH means here, its last name followed too. */
  resolve(path: BytePath): BytePath {
    return resolvePath(this, path, true);
  }

  lstat(path: BytePath): Entry | undefined {
    return naming("lstat", path, () => lstatEntry(this.at(path)));
  }

  readLink(path: BytePath): BytePath {
    return naming("readlink", path, () => linkTarget(this.at(path)));
  }

  list(path: BytePath): readonly BytePath[] {
    return naming("open", path, () => namesIn(this.at(path)));
  }

  /** Makes a directory and those above it; ones that exist are left alone. */
  makeDirectories(path: BytePath, how: NewDirectories): void {
    if (path === "") return;
    const existing = this.#lstatOrBlocked(path);
    if (existing?.kind === "dir") return;
    if (existing) throw refused("mkdir", path, "ENOTDIR");
    this.makeDirectories(parentOf(path), how);
    this.makeDirectory(path, how.mode & 0o777);
    if (how.owner) this.chown(path, how.owner);
    if (how.timeNs !== undefined) this.setTimes(path, how.timeNs, how.timeNs);
  }

  /** A file on the way is found when its own turn comes. */
  #lstatOrBlocked(path: BytePath): Entry | undefined {
    try {
      return lstatEntry(this.at(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
      throw fileError("lstat", path, error);
    }
  }

  /** Makes one directory with exactly MODE, whatever it inherits. */
  makeDirectory(path: BytePath, mode: number): void {
    naming("mkdir", path, () => fs.mkdirSync(native(this.at(path)), { mode }));
    this.chmod(path, mode);
  }

  makeLink(path: BytePath, target: BytePath): void {
    naming("symlink", path, () => fs.symlinkSync(native(target), native(this.at(path))));
  }

  /** Makes PATH another name of EXISTING. */
  makeHardLink(path: BytePath, existing: BytePath): void {
    naming("link", path, () => fs.linkSync(native(this.at(existing)), native(this.at(path))));
  }

  /**
   * Makes a FIFO or a device node as ENTRY is. As in the reference, a socket becomes an empty file, and a block device a character
   * device: it takes the bits of a socket's type out of every mode.
   */
  makeSpecial(path: BytePath, entry: Entry): void {
    naming("mknod", path, () => {
      const at = toBuffer(this.at(path));
      if (entry.kind === "fifo") makeNode(at, S_IFIFO | entry.mode);
      else if (entry.kind === "char" || entry.kind === "block") makeDeviceNode(at, S_IFCHR | entry.mode, entry.rdev);
      else fs.closeSync(fs.openSync(at, NEW_FILE_FLAGS, entry.mode));
    });
  }

  /** Creates a file that must not exist; the caller closes it. */
  create(path: BytePath, mode: number): number {
    return naming("open", path, () => fs.openSync(native(this.at(path)), NEW_FILE_FLAGS, mode));
  }

  chown(path: BytePath, { uid, gid }: Ids): void {
    naming("lchown", path, () => chown(native(this.at(path)), uid, gid));
  }

  chmod(path: BytePath, mode: number): void {
    naming("chmod", path, () => fs.chmodSync(native(this.at(path)), mode));
  }

  setTimes(path: BytePath, atimeNs: bigint, mtimeNs: bigint): void {
    naming("utimensat", path, () => setTimes(native(this.at(path)), atimeNs, mtimeNs));
  }

  /** Sets what the file system takes; attributes it does not know are left out. */
  setXattrs(path: BytePath, xattrs: readonly Xattr[]): void {
    for (const { name, value } of xattrs) {
      if (name === NOTE_XATTR) continue;
      try {
        setXattr(native(this.at(path)), name, value);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? "";
        if (!["EOPNOTSUPP", "ENOTSUP", "EPERM", "EINVAL"].includes(code)) throw fileError("setxattr", path, error);
      }
    }
  }

  /** Removes one entry that is no directory. */
  unlink(path: BytePath): void {
    naming("unlink", path, () => fs.unlinkSync(native(this.at(path))));
  }

  /** Removes whatever is at PATH with all that is below it. */
  remove(path: BytePath): void {
    naming("remove", path, () => removeTree(this.at(path)));
  }
}

const NEW_FILE_FLAGS = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
