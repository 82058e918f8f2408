import fs from "node:fs";
import {
  EngineError,
  makeDevice,
  makeNode,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  setXattr,
  systemCode,
} from "../../base/index.js";
import type { TarEntry, TarHandler } from "../../tar/index.js";
import { type BytePath, toBuffer } from "./bytes.js";
import { lstatEntry, native } from "./file-entry.js";
import { fileError, naming, shown } from "./file-errors.js";
import { cleanPath, parentOf } from "./file-paths.js";
import type { Ids } from "./file-target.js";
import { NOTE_XATTR } from "./owner-note.js";
import { chown, makeDeviceNode, setTimes } from "./ownership.js";
import { removeTree } from "./remove.js";
import { writeSparsely } from "./sparse-write.js";

const IMPLIED_DIRECTORY_MODE = 0o755;
const ID_MAX = 2 ** 32 - 1;
const TIME_MAX_NS = 2n ** 63n - 1n;

/**
 * Makes the entries of an archive below "/", which must be the destination (`Root.enter`): so no name or link leads out. What is in
 * the way is replaced, except that directories are merged. A whiteout's name is a name like any other.
 */
export class Extractor implements TarHandler {
  readonly #owner: Ids | undefined;
  readonly #directories: { readonly path: BytePath; readonly timeNs: bigint }[] = [];
  #current: { readonly entry: TarEntry; readonly path: BytePath; fd: number; position: number } | undefined;

  /** OWNER stands for the owners in the archive. */
  constructor(owner: Ids | undefined) {
    this.#owner = owner;
  }

  entry(entry: TarEntry): void {
    this.#current = undefined;
    const path = `/${cleanPath(entry.name)}`;
    if (path === "/" && !entry.name.startsWith("/")) return;
    this.#makeParents(path);
    this.#clear(path, entry);
    this.#current = { entry, path, fd: -1, position: 0 };
    this.#create(path, entry);
  }

  body(chunk: Uint8Array): void {
    const current = this.#current;
    if (!current || current.fd < 0) return;
    naming("write", current.path, () => writeSparsely(current.fd, chunk, current.position));
    current.position += chunk.length;
  }

  hole(bytes: number): void {
    if (this.#current) this.#current.position += bytes;
  }

  entryEnd(): void {
    const current = this.#current;
    if (!current) return;
    if (current.fd >= 0) naming("truncate", current.path, () => fs.ftruncateSync(current.fd, current.position));
    this.close();
    this.#dress(current.path, current.entry);
  }

  /** Closes the file being written, if there is one. */
  close(): void {
    if (!this.#current || this.#current.fd < 0) return;
    fs.closeSync(this.#current.fd);
    this.#current.fd = -1;
  }

  /** Sets the times of directories, which what came after them has changed. */
  finish(): void {
    for (const { path, timeNs } of this.#directories) {
      if (lstatEntry(path)?.kind === "dir") setTimes(native(path), timeNs, timeNs);
    }
  }

  /** Directories that the archive names only within longer names belong to root. */
  #makeParents(path: BytePath): void {
    const parent = parentOf(path);
    if (parent === "" || naming("lstat", parent, () => lstatEntry(parent))) return;
    this.#makeParents(parent);
    naming("mkdir", parent, () => fs.mkdirSync(native(parent), { mode: IMPLIED_DIRECTORY_MODE }));
    chown(native(parent), 0, 0);
  }

  #clear(path: BytePath, { type }: TarEntry): void {
    const existing = naming("lstat", path, () => lstatEntry(path));
    if (!existing || (existing.kind === "dir" && type === "directory")) return;
    if (path === "/") throw new EngineError("invalid", "the archive has something else in place of its root");
    naming("remove", path, () => removeTree(path));
  }

  #create(path: BytePath, { type, mode, linkName, device }: TarEntry): void {
    const at = native(path);
    switch (type) {
      case "directory":
        if (!lstatEntry(path)) naming("mkdir", path, () => fs.mkdirSync(at, { mode }));
        return;
      case "file":
        if (this.#current) this.#current.fd = naming("open", path, () => fs.openSync(at, NEW_FILE_FLAGS, mode));
        return;
      case "symlink":
        naming("symlink", path, () => fs.symlinkSync(native(linkName), at));
        return;
      case "link":
        this.#link(path, `/${cleanPath(linkName)}`);
        return;
      case "fifo":
        naming("mknod", path, () => makeNode(toBuffer(path), S_IFIFO | mode));
        return;
      case "char":
      case "block": {
        const kind = type === "char" ? S_IFCHR : S_IFBLK;
        naming("mknod", path, () =>
          makeDeviceNode(toBuffer(path), kind | mode, makeDevice(device.major, device.minor)),
        );
      }
    }
  }

  #link(path: BytePath, existing: BytePath): void {
    try {
      fs.linkSync(native(existing), native(path));
    } catch (error) {
      throw fileError(`link ${shown(existing)}`, path, error);
    }
  }

  #dress(path: BytePath, entry: TarEntry): void {
    const { uid, gid } = this.#owner ?? entry;
    if (uid > ID_MAX || gid > ID_MAX)
      throw new EngineError("invalid", `${shown(path)} in the archive: no such owner: ${uid}:${gid}`);
    naming("lchown", path, () => chown(native(path), uid, gid));
    for (const [name, value] of entry.xattrs) setIfSupported(path, name, value);
    const timeNs = entry.mtimeNs < 0n || entry.mtimeNs > TIME_MAX_NS ? 0n : entry.mtimeNs;
    const isLink = entry.type === "symlink" || (entry.type === "link" && lstatEntry(path)?.kind === "symlink");
    if (!isLink) naming("chmod", path, () => fs.chmodSync(native(path), entry.mode));
    naming("utimensat", path, () => setTimes(native(path), timeNs, timeNs));
    if (entry.type === "directory") this.#directories.push({ path, timeNs });
  }
}

const NEW_FILE_FLAGS = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;

function setIfSupported(path: BytePath, name: string, value: Uint8Array): void {
  if (name === NOTE_XATTR) return; // the engine's own
  try {
    setXattr(native(path), name, value);
  } catch (error) {
    const code = systemCode(error) ?? "";
    if (code !== "EOPNOTSUPP" && code !== "ENOTSUP" && code !== "EPERM") throw fileError("setxattr", path, error);
  }
}
