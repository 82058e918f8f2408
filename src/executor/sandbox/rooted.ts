import fs from "node:fs";
import path from "node:path";
import { openAt2, RESOLVE_IN_ROOT, systemCode } from "../../base/index.js";
import type { Native } from "./native.js";

const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const { O_DIRECTORY } = fs.constants;

/** Opens PATH inside the directory ROOT, following its links as if ROOT were "/"; undefined where there is nothing. */
export function openInside(root: number, file: string, flags = 0): number | undefined {
  try {
    return openAt2(root, file, { flags: O_PATH | O_CLOEXEC | flags, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Opens a mount point inside ROOT, made as an empty directory or file of mode 0755, its parents too, where it is missing. */
export function openMountPoint(root: number, file: string, kind: "directory" | "file", native: Native): number {
  const existing = openInside(root, file);
  if (existing !== undefined) return existing;
  const parent = openDirectory(root, path.posix.dirname(file), native);
  const name = path.posix.basename(file);
  if (kind === "directory") native.mkdirat(parent, name, 0o755);
  else native.mknodat(parent, name, fs.constants.S_IFREG | 0o755, 0);
  fs.closeSync(parent);
  const made = openInside(root, file);
  if (made === undefined) throw new Error(`${file} vanished`);
  return made;
}

/** Opens a directory inside ROOT, made with its parents where it is missing. */
export function openDirectory(root: number, file: string, native: Native): number {
  const existing = openInside(root, file, O_DIRECTORY);
  return existing ?? openMountPoint(root, path.posix.normalize(file), "directory", native);
}

/** The open file as a path for calls that know no descriptors. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
