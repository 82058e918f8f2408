import { EngineError } from "../../base/index.js";
import type { Tree } from "../tree.js";
import { type BytePath, join, toText } from "./bytes.js";
import { checkPresent } from "./layer-presence.js";
import { entriesIn, type FileStat, namesIn, statOf } from "./layer-stat.js";

/**
 * Committed layers seen as one file system without mounting them. A directory is the list of the real directories that contribute to
 * it, topmost first; empty means that it is not there. Layers never change, and only real directories are descended into, so no link
 * in a layer is ever followed.
 */
export interface StackDir {
  readonly parts: readonly BytePath[];
}

/** A file of a stack: where it really is, and for a directory what contributes to it. */
export interface StackEntry {
  readonly path: BytePath;
  readonly stat: FileStat;
  readonly dir: StackDir | undefined;
}

/** A directory without anything in it. */
export const NOTHING: StackDir = { parts: [] };

/** The root of a tree; the cwd is the layers' directory. Throws `data-loss` where the files of a layer are gone. */
export function stackOf(tree: Tree): StackDir {
  checkPresent(tree);
  return { parts: [...tree].reverse().map((id) => `${id}/fs`) };
}

/** What NAME is in a directory. */
export function lookUp(directory: StackDir, name: BytePath): StackEntry | undefined {
  let top: { path: BytePath; stat: FileStat } | undefined;
  const parts: BytePath[] = [];
  for (const part of directory.parts) {
    const path = join(part, name);
    const stat = statOf(path);
    if (!stat) continue;
    if (stat.kind !== "directory") {
      if (top || stat.kind === "whiteout") break;
      return { path, stat, dir: undefined };
    }
    top ??= { path, stat };
    parts.push(path);
  }
  return top && { ...top, dir: { parts } };
}

/** Everything in a directory, by name in byte order. */
export function list(directory: StackDir): Map<BytePath, StackEntry> {
  const [only] = directory.parts;
  if (only === undefined) return new Map();
  const entries = new Map<BytePath, StackEntry>();
  if (directory.parts.length === 1) {
    for (const { name, path, stat } of entriesIn(only)) {
      if (stat.kind === "whiteout") continue;
      entries.set(name, { path, stat, dir: stat.kind === "directory" ? { parts: [path] } : undefined });
    }
    return entries;
  }
  const names = new Set<BytePath>();
  for (const part of directory.parts) for (const name of namesIn(part)) names.add(name);
  for (const name of [...names].sort()) {
    const entry = lookUp(directory, name);
    if (entry) entries.set(name, entry);
  }
  return entries;
}

/** What stands at PATH (relative, without `.` and `..`) below ROOT; links on the way are not followed. */
export function lookUpPath(root: StackDir, path: BytePath): StackEntry | undefined {
  let entry: StackEntry | undefined;
  let directory = root;
  for (const name of path.split("/")) {
    entry = lookUp(directory, name);
    if (!entry) return undefined;
    directory = entry.dir ?? NOTHING;
  }
  return entry;
}

/** The directory at PATH; the root for the empty path, nothing where there is none. */
export function directoryAt(root: StackDir, path: BytePath): StackDir {
  return path === "" ? root : (lookUpPath(root, path)?.dir ?? NOTHING);
}

const LINKS_FOLLOWED_MAX = 255;

/** PATH with every link on the way resolved inside the root. What does not exist is taken as it is named. */
export function resolveLinks(path: BytePath, readLink: (path: BytePath) => BytePath | undefined): BytePath {
  const done: BytePath[] = [];
  const todo = path.split("/").reverse();
  let followed = 0;
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      done.pop();
      continue;
    }
    const target = readLink([...done, name].join("/"));
    if (target === undefined) {
      done.push(name);
      continue;
    }
    if (++followed > LINKS_FOLLOWED_MAX)
      throw new EngineError("invalid", `too many symbolic links in ${JSON.stringify(toText(path))}`);
    if (target.startsWith("/")) done.length = 0;
    todo.push(...target.split("/").reverse());
  }
  return done.join("/");
}
