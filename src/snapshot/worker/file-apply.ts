import fs from "node:fs";
import {
  EngineError,
  type MkdirAction,
  type MkfileAction,
  type RmAction,
  type SymlinkAction,
  unreachable,
} from "../../base/index.js";
import type { FileActionRequest } from "../file-action.js";
import type { FileSource } from "../tree.js";
import { type BytePath, fromText } from "./bytes.js";
import type { Job, JobContext } from "./context.js";
import { copy } from "./copy-action.js";
import { naming, refused } from "./file-errors.js";
import { resolveOwner } from "./file-owner.js";
import { baseOf, below, cleanPath, parentOf } from "./file-paths.js";
import { type Ids, Target } from "./file-target.js";
import { TreeView, withSource } from "./file-view.js";
import { hasWildcards, namedPaths } from "./file-wildcards.js";
import { mountTree, unmountTree } from "./mounting.js";

const NS_PER_SECOND = 1_000_000_000n;
const EMPTY: FileSource = { kind: "tree", tree: [] };

/**
 * Applies one file action to a workspace. A context file that is not what the scan saw throws `changed`: ask for its digest once more
 * after `forgetScan`, in a new workspace.
 */
export const applyFileAction: Job<FileActionRequest, void> = async (request, context) => {
  const { action, workspace, users, groups } = request;
  const owner = action.kind === "rm" ? undefined : await resolveOwner(action.owner, { users, groups }, context);
  const root = mountTree({ tree: workspace.parents, upper: workspace.layer }, context);
  try {
    const target = new Target(root);
    switch (action.kind) {
      case "copy":
        return await withSource(request.source ?? EMPTY, context, (view) =>
          copy(action, { view, target, owner }, context),
        );
      case "mkdir":
        makeDirectory(action, target, owner);
        return;
      case "mkfile":
        makeFile(action, target, owner);
        return;
      case "symlink":
        makeLink(action, target, owner);
        return;
      case "rm":
        remove(action, target, root, context);
        return;
      default:
        return unreachable(action);
    }
  } finally {
    unmountTree(root);
  }
};

function makeDirectory(action: MkdirAction, target: Target, owner: Ids | undefined): void {
  const path = target.resolve(cleanPath(fromText(action.path)));
  const timeNs = timeOf(action.timestamp);
  if (action.makeParents) {
    target.makeDirectories(path, { mode: action.mode, owner, timeNs });
  } else if (path !== "" && !target.lstat(path)) {
    target.makeDirectory(path, action.mode & 0o777);
    dress(path, target, owner, timeNs);
  }
}

function makeFile(action: MkfileAction, target: Target, owner: Ids | undefined): void {
  const path = target.resolve(cleanPath(fromText(action.path)));
  const existing = target.lstat(path);
  if (existing && existing.kind !== "file") throw refused("open", path, existing.kind === "dir" ? "EISDIR" : "EINVAL");
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const fd = naming("open", path, () =>
    fs.openSync(Buffer.from(target.at(path), "latin1"), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, action.mode & 0o777),
  );
  try {
    naming("write", path, () => fs.writeFileSync(fd, action.data));
  } finally {
    fs.closeSync(fd);
  }
  dress(path, target, owner, timeOf(action.timestamp));
}

function makeLink(action: SymlinkAction, target: Target, owner: Ids | undefined): void {
  const path = target.resolve(cleanPath(fromText(action.newPath)));
  target.makeLink(path, fromText(action.oldPath));
  dress(path, target, owner, timeOf(action.timestamp));
}

function dress(path: BytePath, target: Target, owner: Ids | undefined, timeNs: bigint | undefined): void {
  if (owner) target.chown(path, owner);
  if (timeNs !== undefined) target.setTimes(path, timeNs, timeNs);
}

/** Removes what a path or its wildcards name; links above it are followed inside the root, what it names itself never is. */
function remove(action: RmAction, target: Target, root: string, context: JobContext): void {
  const expand = action.allowWildcard && hasWildcards(action.path);
  const paths = expand ? namedPaths(new TreeView(root, context), action.path) : [fromText(action.path)];
  for (const path of paths) removeOne(cleanPath(path), action.allowNotFound, target);
}

function removeOne(path: BytePath, allowNotFound: boolean, target: Target): void {
  if (path === "") throw new EngineError("invalid", "the root cannot be removed");
  const plain = below(target.resolve(parentOf(path)), baseOf(path));
  if (target.lstat(plain)) target.remove(plain);
  else if (!allowNotFound) throw refused("stat", path, "ENOENT");
}

function timeOf(timestamp: number): bigint | undefined {
  return timestamp < 0 ? undefined : BigInt(timestamp) * NS_PER_SECOND;
}
