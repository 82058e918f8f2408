import { compileWildcard, EngineError, type PathWildcard } from "../../base/index.js";
import { type BytePath, fromText, toText } from "./bytes.js";
import { refused } from "./file-errors.js";
import { below, cleanPath, type OnLink, resolvePath } from "./file-paths.js";
import type { FileView } from "./file-view.js";

/** Whether the path holds a wildcard of Go's `filepath.Match` that no backslash makes plain. */
export function hasWildcards(path: string): boolean {
  return /^(?:[^*?[\\]|\\.)*[*?[]/s.test(path);
}

/**
 * The paths that a source names, in the order of a walk: itself, or what its wildcards match. The names before the first wildcard lead
 * through links; below, links are matched and not entered. Nothing below a match is looked at.
 */
export function namedPaths(view: FileView, source: string, onLink?: OnLink): readonly BytePath[] {
  const names = toText(cleanPath(fromText(source))).split("/");
  const first = names.findIndex(hasWildcards);
  if (first < 0) return [fromText(names.join("/"))];
  const pattern = names.slice(first);
  const whole = compileWildcard(pattern.join("/"));
  if (whole === undefined) throw new EngineError("invalid", `${source}: syntax error in pattern`);
  const prefix = fromText(names.slice(0, first).join("/"));
  const base = resolvePath(view, prefix, true, onLink);
  if (!view.lstat(base)) throw refused("lstat", prefix, "ENOENT");
  const each = pattern.map(compileWildcard).filter((name) => name !== undefined);
  // A backslash may stand ahead of a slash, too.
  if (whole.crossesSlashes || each.length < pattern.length) {
    return matchesAcross(view, { base, relative: "" }, whole);
  }
  return matchesBelow(view, base, each);
}

/** Where no wildcard stands for a slash, names are matched one by one. */
function matchesBelow(view: FileView, directory: BytePath, pattern: readonly PathWildcard[]): BytePath[] {
  const [name, ...rest] = pattern;
  if (name === undefined) return [directory];
  if (view.lstat(directory)?.kind !== "dir") return [];
  return view
    .list(directory)
    .filter((candidate) => name.matches(candidate))
    .flatMap((candidate) => matchesBelow(view, below(directory, candidate), rest));
}

/** A class (`[^a]`, `[.-9]`) may stand for a slash; then whole paths below BASE are matched, as deep as they can be. */
function matchesAcross(
  view: FileView,
  { base, relative }: { readonly base: BytePath; readonly relative: BytePath },
  whole: PathWildcard,
): BytePath[] {
  const directory = relative === "" ? base : below(base, relative);
  if (view.lstat(directory)?.kind !== "dir") return [];
  const depth = relative === "" ? 0 : relative.split("/").length;
  return view.list(directory).flatMap((name) => {
    const path = below(relative, name);
    if (whole.matches(path)) return [below(base, path)];
    return depth < whole.mostSlashes ? matchesAcross(view, { base, relative: path }, whole) : [];
  });
}
