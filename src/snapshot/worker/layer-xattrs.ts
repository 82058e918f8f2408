import { getXattr, listXattrs, removeXattr, setXattr, systemCode } from "../../base/index.js";
import { type BytePath, toBuffer } from "./bytes.js";
import { isWhiteoutXattr } from "./layer-whiteout.js";
import { NOTE_XATTR } from "./owner-note.js";

/**
 * The own attributes of overlayfs and fuse-overlayfs mean something only to the mount that made them; from elsewhere they could mislead
 * one. So could a mark of whiteouts or a note of an owner that we didn't set.
 */
export function isReservedXattr(name: string): boolean {
  return RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix)) || isWhiteoutXattr(name) || name === NOTE_XATTR;
}

const RESERVED_PREFIXES = ["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."];

/** A file's extended attributes other than reserved ones, by name. */
export function xattrsOf(path: BytePath): ReadonlyMap<string, Uint8Array> {
  const file = toBuffer(path);
  const names = listXattrs(file);
  if (names.length === 0) return NONE;
  const xattrs = new Map<string, Uint8Array>();
  for (const name of names.sort()) {
    const value = isReservedXattr(name) ? undefined : getXattr(file, name);
    if (value) xattrs.set(name, value);
  }
  return xattrs;
}

const NONE: ReadonlyMap<string, Uint8Array> = new Map();

/** Sets what it can: a file system or a user that may not have an attribute goes without, as with other engines. */
export function setXattrs(path: BytePath, xattrs: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, value] of xattrs) {
    if (isReservedXattr(name)) continue;
    try {
      setXattr(toBuffer(path), name, value);
    } catch (error) {
      const code = systemCode(error);
      if (code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "EPERM") throw error;
    }
  }
}

/** Takes reserved attributes from a file, but for the note of its owner; whether it was marked opaque (nothing of lower layers shows through). */
export function stripReservedXattrs(path: BytePath): { readonly opaque: boolean } {
  const file = toBuffer(path);
  let opaque = false;
  for (const name of listXattrs(file)) {
    if (!isReservedXattr(name) || name === NOTE_XATTR) continue;
    if (OPAQUE_XATTRS.has(name) && getXattr(file, name)?.toString("latin1") === "y") opaque = true;
    removeXattr(file, name);
  }
  return { opaque };
}

const OPAQUE_XATTRS = new Set(["trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque"]);

/** Whether two files have equal attributes, reserved ones aside. */
export function sameXattrs(a: BytePath, b: BytePath): boolean {
  const [first, second] = [xattrsOf(a), xattrsOf(b)];
  if (first.size !== second.size) return false;
  for (const [name, value] of first) {
    const other = second.get(name);
    if (!other || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}
