import fs from "node:fs";
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

/**
 * Opens a mount point inside ROOT, made as an empty directory or file of mode 0755, its parents too, where it is missing. Links are followed
 * inside ROOT, those that lead nowhere as well: what they name is made.
 */
export function openMountPoint(root: number, file: string, kind: "directory" | "file", native: Native): number {
  let at: string[] = [];
  const pending = names(file);
  for (let links = 0; pending.length > 0; ) {
    const name = pending.shift() ?? "";
    if (name === "..") {
      at.pop();
      continue;
    }
    const target = linkOrMake(root, at, name, pending.length > 0 ? "directory" : kind, native);
    if (target === undefined) {
      at.push(name);
      continue;
    }
    if (++links > LINKS_MAX) throw new Error(`too many links in ${file}`);
    if (target.startsWith("/")) at = [];
    pending.unshift(...names(target));
  }
  const made = openInside(root, `/${at.join("/")}`);
  if (made === undefined) throw new Error(`${file} vanished`);
  return made;
}

const LINKS_MAX = 40;

function names(file: string): string[] {
  return file.split("/").filter((name) => name !== "" && name !== ".");
}

/** The target of the link NAME in a directory inside ROOT; undefined for anything else, which is made where it is missing. */
function linkOrMake(
  root: number,
  directory: readonly string[],
  name: string,
  kind: "directory" | "file",
  native: Native,
): string | undefined {
  const parent = openInside(root, `/${directory.join("/")}`, O_DIRECTORY);
  if (parent === undefined) throw new Error(`/${directory.join("/")} vanished`);
  try {
    const file = `${pathOf(parent)}/${name}`;
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) return fs.readlinkSync(file);
    if (!stat && kind === "directory") native.mkdirat(parent, name, 0o755);
    if (!stat && kind === "file") native.mknodat(parent, name, fs.constants.S_IFREG | 0o755, 0);
    return undefined;
  } finally {
    fs.closeSync(parent);
  }
}

/** The open file as a path for calls that know no descriptors. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
