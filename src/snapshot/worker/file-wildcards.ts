import { EngineError, matchPath } from "../../base/index.js";
import { type BytePath, fromText, toText } from "./bytes.js";
import { refused } from "./file-errors.js";
import { below, cleanPath, resolvePath } from "./file-paths.js";
import type { FileView } from "./file-view.js";

/** Whether the path holds a wildcard of Go's `filepath.Match` that no backslash makes plain. */
export function hasWildcards(path: string): boolean {
  return /^(?:[^*?[\\]|\\.)*[*?[]/s.test(path);
}

/**
 * The paths that a source names, in the order of a walk: itself, or what its wildcards match. The names before the first wildcard lead
 * through links; below, links are matched and not entered.
 */
export function namedPaths(view: FileView, source: string): readonly BytePath[] {
  const names = toText(cleanPath(fromText(source))).split("/");
  const first = names.findIndex(hasWildcards);
  if (first < 0) return [fromText(names.join("/"))];
  const pattern = names.slice(first);
  if (matchPath(pattern.join("/"), "") === "bad-pattern")
    throw new EngineError("invalid", `${source}: syntax error in pattern`);
  const prefix = fromText(names.slice(0, first).join("/"));
  const base = resolvePath(view, prefix, true);
  if (!view.lstat(base)) throw refused("lstat", prefix, "ENOENT");
  return matchesBelow(view, base, pattern);
}

/** A wildcard never stands for a slash, so names are matched one by one. */
function matchesBelow(view: FileView, directory: BytePath, pattern: readonly string[]): BytePath[] {
  const [name, ...rest] = pattern;
  if (name === undefined) return [directory];
  if (view.lstat(directory)?.kind !== "dir") return [];
  return view
    .list(directory)
    .filter((candidate) => matchPath(name, toText(candidate)) === true)
    .flatMap((candidate) => matchesBelow(view, below(directory, candidate), rest));
}
