import { getXattr, listXattrs, removeXattr, setXattr, systemCode, unreachable } from "../../base/index.js";
import { isInUserNamespace } from "../user-namespace.js";
import { type BytePath, toBuffer } from "./bytes.js";
import { isWhiteoutXattr } from "./layer-whiteout.js";
import { NOTE_XATTR } from "./owner-note.js";
import type { Snapshotter } from "./protocol.js";

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

/** Takes reserved attributes from a file, but for the note of its owner. */
export function stripReservedXattrs(path: BytePath): void {
  const file = toBuffer(path);
  for (const name of listXattrs(file)) if (isReservedXattr(name) && name !== NOTE_XATTR) removeXattr(file, name);
}

/** Whether a directory has one of these MARKS that nothing of lower layers shows through. To be asked before they are taken away. */
export function isOpaque(path: BytePath, marks: readonly string[]): boolean {
  return marks.some((name) => getXattr(toBuffer(path), name)?.toString("latin1") === "y");
}

/**
 * The attributes by which what takes the writes marks a directory as opaque. A step can set the others itself, where they mean nothing:
 * the mount lets it have none of its own.
 */
export function opaqueMarks(snapshotter: Snapshotter): readonly string[] {
  switch (snapshotter) {
    case "overlay":
      return [isInUserNamespace() ? "user.overlay.opaque" : "trusted.overlay.opaque"];
    case "fuse-overlayfs":
      return ["trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque"];
    case "native":
      return [];
    default:
      return unreachable(snapshotter);
  }
}

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
