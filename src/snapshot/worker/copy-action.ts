import { type CopyAction, EngineError } from "../../base/index.js";
import { unpackArchive } from "./archive-unpack.js";
import { type BytePath, fromText } from "./bytes.js";
import type { JobContext } from "./context.js";
import { TreeCopy } from "./copy-tree.js";
import { refused } from "./file-errors.js";
import { Filter } from "./file-filter.js";
import { type ModeChange, parseMode } from "./file-mode.js";
import { baseOf, below, cleanPath, parentOf, resolvePath } from "./file-paths.js";
import type { Ids, Target } from "./file-target.js";
import type { FileView } from "./file-view.js";
import { walk } from "./file-walk.js";
import { namedPaths } from "./file-wildcards.js";

/** From where to where an action copies, and who shall own the copies. */
export interface CopyEnds {
  readonly view: FileView;
  readonly target: Target;
  readonly owner: Ids | undefined;
}

const NEW_DIRECTORY_MODE = 0o755;
const NS_PER_SECOND = 1_000_000_000n;

/** Copies as COPY and ADD do (BuildKit's solver/pb/ops.proto, FileActionCopy). Sources that are named by wildcards are copied one after the other. */
export async function copy(action: CopyAction, ends: CopyEnds, context: JobContext): Promise<void> {
  const { view, target } = ends;
  const dest = fromText(action.dest);
  if (!action.createDestPath && !target.lstat(parentOf(target.resolve(cleanPath(dest)))))
    throw refused("lstat", dest, "ENOENT");
  const sources = action.allowWildcard ? namedPaths(view, action.src) : [fromText(action.src)];
  if (sources.length === 0 && !action.allowEmptyWildcard) throw new EngineError("not-found", `${action.src} not found`);
  for (const source of sources) {
    context.checkCanceled();
    if (action.attemptUnpack && (await unpack(source, action, ends, context))) continue;
    copyOne(source, action, ends, context);
  }
}

async function unpack(
  source: BytePath,
  action: CopyAction,
  { view, target, owner }: CopyEnds,
  context: JobContext,
): Promise<boolean> {
  const archive = resolvePath(view, cleanPath(source), true);
  if (view.lstat(archive)?.kind !== "file") return false;
  return unpackArchive({ view, archive, target, owner }, context, () => {
    const directory = target.resolve(cleanPath(fromText(action.dest)));
    target.makeDirectories(directory, { mode: NEW_DIRECTORY_MODE, owner, timeNs: timeOf(action) });
    return directory;
  });
}

function copyOne(source: BytePath, action: CopyAction, { view, target, owner }: CopyEnds, context: JobContext): void {
  const newDirectories = { mode: action.mode ?? NEW_DIRECTORY_MODE, owner, timeNs: timeOf(action) };
  const dest = fromText(action.dest);
  target.makeDirectories(
    target.resolve(isDirectoryName(dest) ? cleanPath(dest) : parentOf(cleanPath(dest))),
    newDirectories,
  );
  const named = target.resolve(cleanPath(dest));

  const from = resolvePath(view, cleanPath(source), action.followSymlink);
  const entry = view.lstat(from);
  if (!entry) throw refused("lstat", cleanPath(source), "ENOENT");
  const copiesContents = action.dirCopyContents && entry.kind === "dir";
  const existing = target.lstat(named);
  const goesInside =
    entry.kind === "dir" ? !action.dirCopyContents && existing !== undefined : existing?.kind === "dir";
  const top = goesInside ? below(named, nameOf(source)) : named;
  target.makeDirectories(copiesContents && !existing ? top : parentOf(top), newDirectories);

  const style = { owner, mode: modeOf(action), timeNs: timeOf(action), replace: action.alwaysReplaceExistingDestPaths };
  const filter = new Filter(action.includePatterns ?? [], action.excludePatterns ?? []);
  walk(view, from, filter, new TreeCopy(view, target, top, style, context), context);
}

/** A destination that must be a directory, whether it exists or not. */
function isDirectoryName(dest: BytePath): boolean {
  return dest.endsWith("/") || dest.endsWith("/.") || cleanPath(dest) === "";
}

/** The name that a copy of SOURCE takes in a directory. */
function nameOf(source: BytePath): BytePath {
  const name = baseOf(source);
  return name === "." || name === ".." ? "" : name;
}

function modeOf({ mode, modeStr }: CopyAction): ModeChange | undefined {
  if (modeStr !== undefined && modeStr !== "") return parseMode(modeStr);
  return mode === undefined ? undefined : () => mode;
}

function timeOf({ timestamp }: { readonly timestamp: number }): bigint | undefined {
  return timestamp < 0 ? undefined : BigInt(timestamp) * NS_PER_SECOND;
}
